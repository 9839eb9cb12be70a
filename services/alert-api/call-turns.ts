import { inboxOwner } from '../api/access.js';
import type { Breaker } from '../lib/breaker.js';
import type { UnaryHandler } from '../lib/grpc/calls.js';
import { callerKey } from '../lib/grpc/identity.js';
import type { RunningCalls } from '../lib/grpc/running-calls.js';
import { Turns } from '../lib/turns.js';

/** Calls of one key that are at work: less than there are connections for bulk work, which others want as well. */
const AT_WORK = 2;

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a table of handlers of different types
type Handlers<H> = { readonly [K in keyof H]: UnaryHandler<any, any> };
type AnyHandler = UnaryHandler<{ userId: string }, unknown>;

function wrapped<H extends Handlers<H>>(handlers: H, wrap: (handler: AnyHandler) => AnyHandler): H {
  const entries = Object.entries<AnyHandler>(handlers);
  return Object.fromEntries(entries.map(([name, handler]) => [name, wrap(handler)])) as H;
}

/**
 * While the database is away nobody waits for a turn: those who have theirs may hang until their time-outs. Who finds a
 * turn free hears of it from the database.
 */
function turnsOf(breaker: Breaker): Turns {
  const turns = new Turns(AT_WORK, () => breaker.refusal);
  breaker.onOpen(() => turns.refuseWaiting(breaker.refusal!));
  return turns;
}

/** The same handlers, of which each caller occupies a few at a time; what it calls beyond waits for its turn. */
export function turnsByCaller<H extends Handlers<H>>(handlers: H, breaker: Breaker): H {
  const turns = turnsOf(breaker);
  return wrapped(handlers, (handler) => (request, call) => {
    const caller = callerKey(call.identity);
    return turns.run(caller, caller, call.signal, () => handler(request, call));
  });
}

/**
 * The same by inbox: its changes wait for each other in PostgreSQL. Who calls beyond waits, its callers served in turn,
 * so that nobody keeps a user from the user's own inbox.
 */
export function turnsByInbox<H extends Handlers<H>>(handlers: H, breaker: Breaker): H {
  const turns = turnsOf(breaker);
  return wrapped(handlers, (handler) => async (request, call) => {
    const owner = inboxOwner(call.identity, request.userId);
    return turns.run(owner, callerKey(call.identity), call.signal, () => handler(request, call));
  });
}

/** The same handlers, of which each caller has so many running about one inbox as `running` allows its owner. */
export function boundedByInbox<H extends Handlers<H>>(handlers: H, running: RunningCalls): H {
  return wrapped(handlers, (handler) => async (request, call) => {
    const owner = inboxOwner(call.identity, request.userId);
    const leave = running.enter(`inbox of ${owner} by ${callerKey(call.identity)}`, 1, owner);
    try {
      return await handler(request, call);
    } finally {
      leave();
    }
  });
}

import { inboxOwner } from '../lib/grpc/identity.js';
import type { RunningCalls } from '../lib/grpc/running-calls.js';
import type { UnaryHandler } from '../lib/grpc/server.js';
import { Turns } from '../lib/turns.js';

/** Calls about one inbox that are at work. Changes of it wait for each other in PostgreSQL, each with a connection in its hands. */
const AT_WORK = 4;

/** Handlers of InboxService by their names, of which one inbox occupies a few at a time and keeps a bounded number waiting. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a table of handlers of different types
export function boundedByInbox<H extends { readonly [K in keyof H]: UnaryHandler<any, any> }>(
  handlers: H,
  running: RunningCalls,
): H {
  const turns = new Turns(AT_WORK);
  const bounded = (handler: UnaryHandler<{ userId: string }, unknown>): UnaryHandler<{ userId: string }, unknown> => {
    return async (request, call) => {
      const owner = inboxOwner(call.identity, request.userId);
      const leave = running.enter(`inbox of ${owner}`);
      try {
        return await turns.run(owner, call.signal, () => handler(request, call));
      } finally {
        leave();
      }
    };
  };
  const entries = Object.entries<UnaryHandler<{ userId: string }, unknown>>(handlers);
  return Object.fromEntries(entries.map(([name, handler]) => [name, bounded(handler)])) as H;
}

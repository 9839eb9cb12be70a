import type { InboxUpdate } from '../domain/alert.js';
import type { CallContext } from '../lib/grpc/call-context.js';
import { callerKey } from '../lib/grpc/identity.js';
import { CallEnded } from '../lib/postgres.js';
import { wait } from '../lib/retry.js';
import { markAllRead } from '../store/inboxes.js';
import { adminAccount } from './admin-account.js';

/**
 * A run that follows another of the same inbox begins so much later than that one at least: calls that come meanwhile
 * share it.
 */
const INTERVAL_MS = 100;

export interface MarkedAll {
  readonly changed: number;
  readonly unreadCount: number;
}

/** One passage through an inbox, for all calls of one caller that came before it began. */
interface Run {
  /** To whom what it changes is accounted. */
  readonly caller: string;
  hasBegun: boolean;
  callers: number;
  /** Aborts when none of its callers waits any more. */
  readonly abandoned: AbortController;
  readonly result: Promise<MarkedAll>;
}

/**
 * Calls of MarkAllRead. Of one inbox one runs at a time, and those of one caller that come meanwhile share a later one.
 * A run pauses after each page as long as the page took, and ends when nobody waits for it any more.
 */
export class MarkAllReads {
  /** Of each inbox the run that is under way and those behind it, in their order. */
  readonly #runs = new Map<string, Run[]>();

  /** @param onPage told of each page, once it is committed */
  constructor(private readonly onPage: (state: InboxUpdate, call: CallContext) => void) {}

  /** @returns how many this call changed: of those that share a run, the first one */
  async run(userId: string, call: CallContext): Promise<MarkedAll> {
    const caller = callerKey(call.identity);
    const shared = this.#runs
      .get(userId)
      ?.find((each) => each.caller === caller && !each.hasBegun && !each.abandoned.signal.aborted);
    const run = shared ?? this.#begin(userId, caller, call);
    run.callers += 1;
    const { changed, unreadCount } = await this.#wait(run, call.signal);
    return { changed: shared === undefined ? changed : 0, unreadCount };
  }

  #wait(run: Run, signal: AbortSignal): Promise<MarkedAll> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        run.callers -= 1;
        if (run.callers === 0) run.abandoned.abort();
        reject(new CallEnded());
      };
      if (signal.aborted) return leave();
      signal.addEventListener('abort', leave, { once: true });
      run.result.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
    });
  }

  #begin(userId: string, caller: string, call: CallContext): Run {
    const runs = this.#runs.get(userId) ?? [];
    const before = runs.at(-1);
    const abandoned = new AbortController();
    const work = async (): Promise<MarkedAll> => {
      if (before !== undefined) await Promise.all([before.result.catch(() => undefined), wait(INTERVAL_MS)]);
      run.hasBegun = true;
      try {
        return await this.#markAll(userId, abandoned.signal, call);
      } finally {
        runs.splice(runs.indexOf(run), 1);
        if (runs.length === 0) this.#runs.delete(userId);
      }
    };
    const result = Promise.resolve().then(work);
    const run: Run = { caller, hasBegun: before === undefined, callers: 0, abandoned, result };
    // Whoever waits for it may have gone.
    run.result.catch(() => undefined);
    runs.push(run);
    this.#runs.set(userId, runs);
    return run;
  }

  async #markAll(userId: string, signal: AbortSignal, call: CallContext): Promise<MarkedAll> {
    const account = adminAccount(call, 'inbox.read-marked', userId);
    const pages = markAllRead(call.database.bulk.until(signal), userId, account);
    let changed = 0;
    for (let pageAt = performance.now(); ; pageAt = performance.now()) {
      if (signal.aborted) throw new CallEnded();
      const page = await pages.next();
      if (page.done === true) return { changed, unreadCount: page.value };
      changed += page.value.changes.length;
      this.onPage(page.value, call);
      await wait(performance.now() - pageAt, signal);
    }
  }
}

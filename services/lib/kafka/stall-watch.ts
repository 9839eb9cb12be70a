import type { Logger } from '../logging.js';

/** A consumer, as whoever watches it sees it. Times are milliseconds since 1970. */
export interface Watched {
  /** When it last brought a record. */
  readonly heardAt: () => number;
  /** When it was last asked for some. */
  readonly askedAt: () => number;
  /** Whether it is meant to bring nothing: paused, between two assignments, closed. */
  readonly isResting: () => boolean;
  /** Where records wait that it did not bring, as the brokers tell another client; empty if nowhere. */
  readonly waiting: () => Promise<string>;
  readonly replace: (waiting: string) => Promise<void>;
}

/** A loop asks at least this often unless its handler is busy. */
const ASKS_WITHIN_MS = 2000;

/**
 * Watches for a client that brings nothing for `stallMs` although it is asked and the same records wait at two looks, half of
 * that time apart, and has it replaced: librdkafka's consumer may stall while it keeps its group membership alive (issue 476
 * of the Kafka client). It sees only a client that is silent as a whole.
 * @returns the timer, to be cleared with the consumer
 */
export function watchForStalls(watched: Watched, stallMs: number, logger: Logger): NodeJS.Timeout {
  let suspected = '';
  let suspectedAt = 0;
  let looking = false;

  const look = async () => {
    const quietMs = Date.now() - watched.heardAt();
    // Who does not ask gets nothing; that is not the client's fault.
    const asks = watched.askedAt() > Math.max(suspectedAt, Date.now() - ASKS_WITHIN_MS);
    if (quietMs < stallMs / 2 || !asks || watched.isResting()) {
      suspected = '';
      return;
    }
    const waiting = await watched.waiting();
    if (waiting === '' || waiting !== suspected || quietMs < stallMs) {
      suspected = waiting;
      suspectedAt = Date.now();
      return;
    }
    suspected = '';
    await watched.replace(waiting);
  };

  return setInterval(() => {
    if (looking) return;
    looking = true;
    look()
      .catch((error: unknown) => logger.debug({ err: error }, 'whether the consumer has stalled is not known'))
      .finally(() => (looking = false));
  }, stallMs / 2).unref();
}

import type { Logger } from '../logging.js';

export interface Waiting {
  /** Partitions with records that it did not bring; empty if there are none. */
  readonly partitions: string;
  /** A partition ends before what it has read: the topic was made anew, and it waits for what will never come. */
  readonly beyondTheEnd: boolean;
}

/** A consumer, as whoever watches it sees it. Times are milliseconds since 1970. */
export interface Watched {
  /** When it last brought a record. */
  readonly heardAt: () => number;
  /** When it was last asked for some. */
  readonly askedAt: () => number;
  /** Whether it is meant to bring nothing: paused, between two assignments, closed. */
  readonly isResting: () => boolean;
  /** Where it is not where it should be, as the brokers tell another client. */
  readonly waiting: () => Promise<Waiting>;
  readonly replace: (waiting: string) => Promise<void>;
}

/** A loop asks at least this often unless its handler is busy. */
const ASKS_WITHIN_MS = 2000;

/**
 * Watches for a client that brings nothing for `stallMs` although it is asked, and has it replaced: if the same records wait
 * at two looks, half of that time apart, or at the first look if its topic was made anew. librdkafka's consumer may stall
 * while it keeps its group membership alive (issue 476 of the Kafka client), and ignores the brokers of a cluster that was
 * wiped. Only a client that is silent as a whole is seen.
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
    const { partitions, beyondTheEnd } = await watched.waiting();
    if (!beyondTheEnd && (partitions === '' || partitions !== suspected || quietMs < stallMs)) {
      suspected = partitions;
      suspectedAt = Date.now();
      return;
    }
    suspected = '';
    await watched.replace(partitions);
  };

  return setInterval(() => {
    if (looking) return;
    looking = true;
    look()
      .catch((error: unknown) => logger.debug({ err: error }, 'whether the consumer has stalled is not known'))
      .finally(() => (looking = false));
  }, stallMs / 2).unref();
}

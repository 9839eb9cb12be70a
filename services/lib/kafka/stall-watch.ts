import type { Logger } from '../logging.js';

export interface Waiting {
  /** Partitions with records that it did not bring, each with its position. */
  readonly partitions: readonly string[];
  /** A partition ends before what it has read: the topic was recreated, and it waits for what will never come. */
  readonly beyondTheEnd: boolean;
}

/** A consumer, as whoever watches it sees it. Times are of performance.now(). */
export interface Watched {
  /** Since when it is meant to bring records, without a pause. */
  readonly activeSince: () => number;
  /** When it had last handed out everything that it had fetched. */
  readonly drainedAt: () => number;
  /** When it was last asked for records. */
  readonly askedAt: () => number;
  /** For how many milliseconds its group has not told it which partitions are its own, be they none; 0 if it has. */
  readonly unassignedMs: () => number;
  /** Whether it is meant to bring nothing: paused, between two assignments, closed. */
  readonly isResting: () => boolean;
  /** Where it is not where it should be, as the brokers tell another client. */
  readonly waiting: () => Promise<Waiting>;
  /** Whether brokers answer another client. */
  readonly answers: () => Promise<boolean>;
  readonly replace: (reason: string) => Promise<void>;
}

/** A loop asks at least this often unless its handler is busy. */
const ASKS_WITHIN_MS = 2000;
/**
 * A rebalance waits for members that finish what is in hand, 10 s each, and for dead ones until their sessions end, 30
 * s. Twice that is no rebalance any more.
 */
const UNASSIGNED_MAX_MS = 60_000;

/**
 * Has a client replaced that leaves records where they are for `stallMs` although it is asked and has nothing else at
 * hand: at the first look if the topic was recreated. librdkafka's consumer may stall as a member (issue 476 of the
 * Kafka client), also on some partitions alone. And one that is given no partitions for UNASSIGNED_MAX_MS: after a
 * broker had stood still for 8 s one knew no broker any more.
 * @returns the timer, to be cleared with the consumer
 */
export function watchForStalls(watched: Watched, stallMs: number, logger: Logger): NodeJS.Timeout {
  /** When each partition was first seen to wait at the position where it still is. */
  let suspects = new Map<string, number>();
  let looking = false;
  /** Since when it has no partitions although brokers answer. */
  let leftOutSince: number | undefined;

  const look = async () => {
    const began = performance.now();
    // While brokers are away no client is given any, and a new one would only join later.
    const isLeftOut = watched.unassignedMs() > 0 && (await watched.answers());
    leftOutSince = isLeftOut ? (leftOutSince ?? began) : undefined;
    if (!watched.isResting() && leftOutSince !== undefined && began - leftOutSince > UNASSIGNED_MAX_MS) {
      suspects.clear();
      leftOutSince = undefined;
      return watched.replace(`its group has given it no partitions for ${Math.round(watched.unassignedMs() / 1000)} s`);
    }
    // Who does not ask gets nothing; that is not the client's fault.
    if (watched.isResting() || watched.askedAt() < began - ASKS_WITHIN_MS) return suspects.clear();
    const { partitions, beyondTheEnd } = await watched.waiting();
    const known = watched.activeSince() < began - stallMs / 2 ? suspects : new Map<string, number>();
    suspects = new Map(partitions.map((name) => [name, known.get(name) ?? began]));
    const drainedAt = watched.drainedAt();
    const stalled = partitions.filter((name) => {
      const since = suspects.get(name)!;
      return since <= began - stallMs && drainedAt > since + stallMs / 2;
    });
    if (watched.isResting() || (stalled.length === 0 && !beyondTheEnd)) return;
    suspects.clear();
    await watched.replace(`it does not bring what there is: ${(beyondTheEnd ? partitions : stalled).join(' ')}`);
  };

  return setInterval(() => {
    if (looking) return;
    looking = true;
    look()
      .catch((error: unknown) => logger.debug({ err: error }, 'whether the consumer has stalled is not known'))
      .finally(() => (looking = false));
  }, stallMs / 2).unref();
}

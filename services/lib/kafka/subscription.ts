import type { Logger } from '../logging.js';
import type { ConsumerClient } from './consumer-client.js';
import type { ConsumerPauses } from './consumer-pauses.js';
import type { GroupMembership } from './group-membership.js';
import type { PartitionEnds } from './partition-ends.js';
import { watchForStalls } from './stall-watch.js';
import { partitionsOf } from './topic-offsets.js';
import type { WaitingRecords } from './waiting-records.js';
import type { WakeUps } from './wake-ups.js';

/** Has a client that is connected read, as a member of a group or from the ends. */
export type Begin = () => Promise<void> | void;

/** The parts of a consumer that say how its reading goes. */
interface Reading {
  readonly client: ConsumerClient;
  readonly arrivals: WakeUps;
  readonly pauses: ConsumerPauses;
  readonly membership: GroupMembership;
  readonly waiting: WaitingRecords;
  readonly ends: PartitionEnds;
}

/**
 * Which topics a consumer reads, and how it begins: once, and again with a new client whenever the one before has
 * stalled.
 */
export class Subscription {
  #topics: readonly string[] = [];
  #begin: Begin | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #asking = false;

  constructor(
    private readonly reading: Reading,
    /** Forgets all that belonged to a client. */
    private readonly forget: () => void,
    private readonly stallMs: number,
    private readonly logger: Logger,
  ) {}

  /** @throws when a topic does not exist, or no broker answers */
  async begin(topics: readonly string[], begin: Begin): Promise<void> {
    for (const topic of topics) await partitionsOf(this.reading.client, topic);
    await begin();
    this.#topics = topics;
    this.#begin = begin;
    this.#watchdog = this.#watch();
    this.reading.ends.begin();
  }

  #watch(): NodeJS.Timeout {
    const { client, arrivals, pauses, membership, waiting } = this.reading;
    return watchForStalls(
      {
        activeSince: () => pauses.activeSince,
        drainedAt: () => arrivals.drainedAt,
        askedAt: () => arrivals.askedAt,
        unassignedMs: () => membership.unassignedMs,
        isResting: () => !client.isUsable || pauses.isPaused || membership.isRebalancing,
        waiting: () => waiting.look(),
        answers: () => waiting.answers(),
        replace: (reason) => this.renew(reason),
      },
      this.stallMs,
      this.logger,
    );
  }

  get topics(): readonly string[] {
    return this.#topics;
  }

  reads(topics: readonly string[]): boolean {
    return topics.some((topic) => this.#topics.includes(topic));
  }

  /** Begins with a new client. */
  async renew(reason: string): Promise<void> {
    const { client, arrivals, membership } = this.reading;
    if (!client.isUsable || this.#begin === undefined) return;
    this.logger.error({ reason }, 'the Kafka consumer is replaced');
    this.forget();
    membership.abandon();
    await client.replace(this.#begin);
    arrivals.announce();
  }

  /** Where no broker answers it, begins with a new client, which has the passwords and certificates of now. */
  async renewUnlessAnswered(reason: string): Promise<void> {
    const [topic] = this.#topics;
    if (topic === undefined || this.#asking) return;
    this.#asking = true;
    await this.reading.client.native
      .metadata(topic)
      .catch(() => this.renew(reason))
      .finally(() => (this.#asking = false));
  }

  /** The client is watched no more. Resolves when nobody is asked about it any more. */
  async end(): Promise<void> {
    clearInterval(this.#watchdog);
    this.reading.ends.end();
    await this.reading.waiting.close();
  }
}

import type { Logger } from '../logging.js';
import { UnderWay } from '../under-way.js';
import type { Brokers, KafkaConfig } from './client-config.js';
import { Consumer } from './consumer.js';
import { UnknownTopic } from './topic-offsets.js';

export interface WatchedGroup {
  readonly group: string;
  readonly topic: string;
}

export interface PartitionLag extends WatchedGroup {
  readonly partition: number;
  /** Records between what the group has committed and the end. */
  readonly lag: number;
}

/** As long as connecting may take. */
const CLOSE_MS = 3500;
/** So many failed looks in a row may be a client's: after an outage one may find no broker again (see Producer). */
const FAILED_LOOKS = 4;

/**
 * How far groups are behind, as the broker sees it: a consumer tells its own lag only while it runs, and the lag of a
 * group whose consumers have all stopped is the one that somebody must hear of.
 *
 * It asks by consumers that read nothing: listConsumerGroupOffsets of the admin client ends the process (SIGSEGV) for a
 * group that has committed nothing, in 1.10.1.
 */
export class GroupLag {
  readonly #observers = new Map<string, Consumer>();
  #lags: readonly PartitionLag[] = [];
  #failedLooks = 0;
  #closed = false;
  readonly #looks = new UnderWay();

  constructor(
    private readonly brokers: Brokers,
    private readonly config: KafkaConfig,
    private readonly logger: Logger,
    private readonly clientId: string,
    private readonly groups: readonly WatchedGroup[],
  ) {}

  /** As of the last look; empty after one that failed: what is not known is not shown. */
  get lags(): readonly PartitionLag[] {
    return this.#lags;
  }

  /** @throws if no broker answers or a topic does not exist */
  look(): Promise<void> {
    return this.#looks.track(this.#look());
  }

  async #look(): Promise<void> {
    const lags: PartitionLag[] = [];
    try {
      for (const watched of this.groups) lags.push(...(await this.#lagOf(watched)));
      this.#lags = lags;
      this.#failedLooks = 0;
    } catch (error) {
      this.#lags = [];
      // Where a topic is not there brokers answer.
      this.#failedLooks = error instanceof UnknownTopic ? 0 : this.#failedLooks + 1;
      if (this.#failedLooks > 0 && this.#failedLooks % FAILED_LOOKS === 0) await this.#renew();
      throw error;
    }
  }

  /** @throws in an outage, when no new client finds a broker either: the old ones stay */
  async #renew(): Promise<void> {
    for (const [groupId, old] of this.#observers) {
      const fresh = await this.#connect(groupId);
      if (this.#closed) return fresh.close();
      this.#observers.set(groupId, fresh);
      this.logger.warn({ group: groupId }, "the client that asks for a group's lag is replaced");
      await old.close();
    }
  }

  async #lagOf({ group, topic }: WatchedGroup): Promise<PartitionLag[]> {
    const observer = await this.#observer(group);
    const partitions = await observer.partitionsOf(topic);
    const committed = await observer.committed(partitions.map((partition) => ({ topic, partition })));
    const lags: PartitionLag[] = [];
    // One after the other: each holds a thread of the pool while it waits.
    for (const { partition, offset } of committed) {
      const { low, high } = await observer.watermarks(topic, partition);
      // Without a position a group begins with the oldest record; one beyond the end is of a topic that was recreated.
      lags.push({ group, topic, partition, lag: Math.max(0, high - Math.max(offset, low)) });
    }
    return lags;
  }

  async #observer(groupId: string): Promise<Consumer> {
    const existing = this.#observers.get(groupId);
    if (existing !== undefined) return existing;
    const observer = await this.#connect(groupId);
    this.#observers.set(groupId, observer);
    if (this.#closed) throw new Error('the lag of groups is asked for no more');
    return observer;
  }

  #connect(groupId: string): Promise<Consumer> {
    const { brokers, config, logger, clientId } = this;
    return Consumer.observe(brokers, config, logger, { clientId, groupId });
  }

  /** A client that still connects, by TLS above all, would end the process with SIGSEGV: a look is waited for. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#looks.over(CLOSE_MS);
    await Promise.all([...this.#observers.values()].map((observer) => observer.close()));
  }
}

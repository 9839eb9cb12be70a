import { RdKafka } from '@confluentinc/kafka-javascript';
import type { Logger } from '../logging.js';
import { withTimeout } from '../retry.js';
import { adminSettings, type Brokers, type KafkaConfig } from './client-config.js';

const REQUEST_MS = 3000;

type Admin = ReturnType<typeof RdKafka.AdminClient.create>;

export interface WatchedGroup {
  readonly group: string;
  readonly topic: string;
}

export interface PartitionLag extends WatchedGroup {
  readonly partition: number;
  /** Records between what the group has committed and the end. */
  readonly lag: number;
}

type Done<T> = (error: { readonly message: string } | null | undefined, result: T) => void;

interface Position {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/**
 * How far groups are behind, as the broker sees it: a consumer tells its own lag only while it runs, and the lag of a group
 * whose consumers have all stopped is the one that somebody must hear of.
 */
export class GroupLag {
  #admin: Admin | undefined;
  #lags: readonly PartitionLag[] = [];

  constructor(
    private readonly brokers: Brokers,
    private readonly config: KafkaConfig,
    private readonly logger: Logger,
    private readonly clientId: string,
    private readonly groups: readonly WatchedGroup[],
  ) {}

  /** As of the last look; empty after one that failed. */
  get lags(): readonly PartitionLag[] {
    return this.#lags;
  }

  /** @throws if no broker answers */
  async look(): Promise<void> {
    const lags: PartitionLag[] = [];
    try {
      for (const watched of this.groups) lags.push(...(await this.#lagOf(watched)));
    } finally {
      this.#lags = lags;
    }
  }

  async #lagOf({ group, topic }: WatchedGroup): Promise<PartitionLag[]> {
    const partitions = await this.#partitionsOf(topic);
    if (partitions.length === 0) return [];
    const committed = new Map(
      (await this.#committed(group, topic, partitions)).map(({ partition, offset }) => [partition, offset]),
    );
    const ends = await this.#offsets(topic, partitions, RdKafka.OffsetSpec.LATEST);
    // A group without a position begins with the oldest record.
    const unread = partitions.filter((partition) => !((committed.get(partition) ?? -1) >= 0));
    for (const { partition, offset } of await this.#offsets(topic, unread, RdKafka.OffsetSpec.EARLIEST))
      committed.set(partition, offset);
    return ends.map(({ partition, offset }) => ({
      group,
      topic,
      partition,
      // A position beyond the end is one of a topic that was made anew.
      lag: Math.max(0, offset - committed.get(partition)!),
    }));
  }

  #partitionsOf(topic: string): Promise<number[]> {
    return this.#ask('describing a topic', (admin, done) =>
      admin.describeTopics([topic], { timeout: REQUEST_MS }, (error, [found] = []) =>
        done(error, found?.partitions.map(({ partition }) => partition) ?? []),
      ),
    );
  }

  #committed(groupId: string, topic: string, partitions: readonly number[]): Promise<Position[]> {
    const asked = partitions.map((partition) => ({ topic, partition }));
    return this.#ask('listing what a group has committed', (admin, done) =>
      admin.listConsumerGroupOffsets([{ groupId, partitions: asked }], { timeout: REQUEST_MS }, (error, [found] = []) =>
        done(error ?? found?.error, (found?.partitions ?? [])),
      ),
    );
  }

  async #offsets(topic: string, partitions: readonly number[], offset: RdKafka.OffsetSpec): Promise<Position[]> {
    if (partitions.length === 0) return [];
    const asked = partitions.map((partition) => ({ topic, partition, offset }));
    return this.#ask('listing the ends of a topic', (admin, done) =>
      admin.listOffsets(asked, { timeout: REQUEST_MS }, done),
    );
  }

  #ask<T>(what: string, ask: (admin: Admin, done: Done<T>) => void): Promise<T> {
    this.#admin ??= RdKafka.AdminClient.create(adminSettings(this.brokers, this.config, this.clientId), {
      'event.error': (error: unknown) => this.logger.debug({ err: error }, 'the Kafka admin client reports an error'),
    });
    const admin = this.#admin;
    const answer = new Promise<T>((resolve, reject) => {
      ask(admin, (error, result) => (error ? reject(error) : resolve(result)));
    });
    return withTimeout(answer, 2 * REQUEST_MS, what);
  }

  close(): void {
    this.#admin?.disconnect();
    this.#admin = undefined;
  }
}

import { UnderWay } from '../under-way.js';
import type { ConsumerClient } from './consumer-client.js';
import type { ConsumerPauses } from './consumer-pauses.js';
import type { ConsumerProgress } from './consumer-progress.js';
import type { GroupMembership } from './group-membership.js';
import { partitionName, type PartitionOffset, type TopicPartition } from './incoming-record.js';
import type { Waiting } from './stall-watch.js';

/** Another client of the same group, which is asked instead of one whose view of the cluster is in doubt. */
export interface Observer {
  committed(partitions: readonly TopicPartition[]): Promise<PartitionOffset[]>;
  watermarks(topic: string, partition: number): Promise<{ low: number; high: number }>;
  close(): Promise<void>;
}

/** As long as another client may take to connect. */
const CLOSE_MS = 3500;

/** Looks again and again for partitions that have records which were not handed out. */
export class WaitingRecords {
  /** Positions at the last look. */
  #lookedAt: ReadonlyMap<string, number> = new Map();
  readonly #underWay = new UnderWay();

  constructor(
    private readonly client: ConsumerClient,
    private readonly progress: ConsumerProgress,
    private readonly pauses: ConsumerPauses,
    private readonly membership: GroupMembership,
    private readonly observe: () => Promise<Observer>,
  ) {}

  async look(): Promise<Waiting> {
    const still = this.#standingStill();
    if (still.length === 0) return { partitions: [], beyondTheEnd: false };
    return this.#byObserver((observer) => this.#waitingAmong(still, observer));
  }

  /** Whether brokers answer a client that knows nothing of them yet. */
  async answers(): Promise<boolean> {
    return this.#byObserver(() => Promise.resolve(true)).catch(() => false);
  }

  #byObserver<T>(ask: (observer: Observer) => Promise<T>): Promise<T> {
    const asked = async () => {
      const observer = await this.observe();
      try {
        return await ask(observer);
      } finally {
        await observer.close();
      }
    };
    return this.#underWay.track(asked());
  }

  /** Waits for who is being asked. */
  async close(): Promise<void> {
    await this.#underWay.over(CLOSE_MS);
  }

  /** Who has moved since the last look does not stand still; a busy consumer costs nothing. */
  #standingStill(): PartitionOffset[] {
    const before = this.#lookedAt;
    const { positions } = this.progress;
    this.#lookedAt = new Map(positions);
    return this.client.assignment.filter((each) => {
      const name = partitionName(each);
      return !this.pauses.isParked(name) && positions.get(name) === before.get(name);
    });
  }

  async #waitingAmong(still: readonly PartitionOffset[], observer: Observer): Promise<Waiting> {
    const isMember = this.membership.hasJoined;
    const committed = isMember ? await observer.committed(still) : [];
    let beyondTheEnd = false;
    const partitions: string[] = [];
    // One after the other: each may hold a thread of libuv's pool for seconds, and reading needs them too.
    for (const [index, { topic, partition }] of still.entries()) {
      const name = partitionName({ topic, partition });
      // Read before the end is asked for, which may move meanwhile.
      const position = this.progress.positions.get(name) ?? committed[index]?.offset ?? -1;
      const { low, high } = await observer.watermarks(topic, partition);
      if (position > high) beyondTheEnd = true;
      // Never read and not in a group: we began at some end.
      const waits = position > high || (position < 0 ? isMember && high > low : high > Math.max(position, low));
      if (waits) partitions.push(`${name}@${position}`);
    }
    return { partitions, beyondTheEnd };
  }
}

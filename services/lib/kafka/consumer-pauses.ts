import type { Logger } from '../logging.js';
import { wait } from '../retry.js';
import type { ConsumerClient } from './consumer-client.js';
import { type IncomingRecord, partitionName, type PartitionOffset } from './incoming-record.js';
import type { WakeUps } from './wake-ups.js';

/** A partition that cannot be taken up again for so long has its client replaced. */
const TAKE_UP_MAX_MS = 30_000;

/**
 * What is not read for a while: everything, while something that all records need is away, or a partition whose record
 * failed alone.
 */
export class ConsumerPauses {
  #isPaused = false;
  #count = 0;
  /** Since when records are meant to come. */
  #activeSince = performance.now();
  /** Records that slipped through a pause. */
  #strays: IncomingRecord[] = [];
  /** Partitions that were set aside, which no resume may wake before their time. */
  readonly #parked = new Set<string>();

  constructor(
    private readonly client: ConsumerClient,
    private readonly arrivals: WakeUps,
    private readonly logger: Logger,
    private readonly fetch: (max: number, waitMs: number) => Promise<IncomingRecord[]>,
    /** Takes a new client in the place of this one. */
    private readonly renew: (reason: string) => void,
  ) {}

  /** Whether everything waits. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** How often everything has waited. */
  get count(): number {
    return this.#count;
  }

  /** Partitions that are set aside. */
  get parked(): number {
    return this.#parked.size;
  }

  isParked(partition: string): boolean {
    return this.#parked.has(partition);
  }

  /** Since when records are meant to come, without a pause or another assignment. */
  get activeSince(): number {
    return this.#activeSince;
  }

  get hasStrays(): boolean {
    return this.#strays.length > 0;
  }

  takeStrays(max: number): IncomingRecord[] {
    return this.#strays.splice(0, max);
  }

  /**
   * Waits without fetching; the membership of the group stays alive. Ends early when the signal aborts or the
   * assignment changes.
   */
  async idle(ms: number, signal: AbortSignal): Promise<void> {
    const { client, arrivals } = this;
    const { generation } = client;
    const until = performance.now() + ms;
    this.#isPaused = true;
    this.#count += 1;
    client.native.pause(client.assignment);
    while (performance.now() < until && !signal.aborted && client.generation === generation && !client.isClosed) {
      await wait(Math.min(250, Math.max(1, until - performance.now())), signal);
      // Polling is what tells the group that we live. Records that slip through the pause are kept for the next poll.
      arrivals.expect();
      const strays = await this.fetch(1, 0).catch(() => []);
      this.#strays.push(...strays);
    }
    if (client.generation !== generation) this.#strays = [];
    this.#isPaused = false;
    this.#activeSince = performance.now();
    client.native.resume(client.assignment.filter((each) => !this.#parked.has(partitionName(each))));
    arrivals.expect();
  }

  /** Sets one partition aside, from this record on, and comes back to it after `ms`; the others go on. */
  park({ topic, partition, offset }: PartitionOffset, ms: number): void {
    const { client, arrivals } = this;
    const { generation } = client;
    const partitions = [{ topic, partition }];
    const name = partitionName({ topic, partition });
    client.native.pause(partitions);
    this.#parked.add(name);
    this.#strays = this.#strays.filter((record) => record.topic !== topic || record.partition !== partition);
    const isOver = () => client.isClosed || client.generation !== generation;
    const triedSince = performance.now() + ms;
    const takeUp = async () => {
      if (isOver()) return;
      try {
        await client.native.seek({ topic, partition, offset });
      } catch (error) {
        if (isOver()) return;
        this.logger.warn({ err: error, topic, partition }, 'a partition could not be taken up again; trying again');
        // Resumed without it, it would go on behind the record, which would be lost.
        if (performance.now() > triedSince + TAKE_UP_MAX_MS)
          return this.renew(`${name} could not be taken up again for ${TAKE_UP_MAX_MS / 1000} s`);
        return later();
      }
      if (isOver()) return;
      this.#parked.delete(name);
      // While everything waits, idle() wakes it with the others.
      if (!this.#isPaused) client.native.resume(partitions);
      arrivals.expect();
    };
    const later = () => void setTimeout(() => void takeUp(), ms).unref();
    later();
  }

  /** Has librdkafka pause these partitions, or not, as everything else. A pause outlives a rebalance there. */
  apply(partitions: PartitionOffset[]): void {
    if (this.#isPaused) this.client.native.pause(partitions);
    else this.client.native.resume(partitions);
  }

  /** Another assignment: none of its partitions is set aside. */
  reset(): void {
    this.#strays = [];
    this.#parked.clear();
    this.#activeSince = performance.now();
  }
}

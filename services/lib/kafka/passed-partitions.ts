import type { Logger } from '../logging.js';
import { wait } from '../retry.js';
import type { Brokers, KafkaConfig } from './client-config.js';
import { Consumer } from './consumer.js';
import { partitionOfKey } from './partitioner.js';

const POLL_MS = 200;

/**
 * Tells which partitions of a topic a group has read up to where they ended when it was asked: of a key whose partition
 * was passed nothing is on its way that was published before.
 *
 * A topic that was given more partitions may have older records of a key elsewhere. Who takes them for lost sends them
 * a second time, which has no effect.
 */
export class PassedPartitions {
  #observer: Promise<Consumer> | undefined;
  /** Partitions that were waited for in vain: nobody waits for them again. */
  readonly #lagging = new Set<number>();

  constructor(
    private readonly brokers: Brokers,
    private readonly config: KafkaConfig,
    private readonly logger: Logger,
    private readonly of: { readonly clientId: string; readonly groupId: string; readonly topic: string },
  ) {}

  /**
   * Waits until the partitions of these keys are passed, at most `timeoutMs`.
   * @returns whether the partition of a key was passed
   * @throws if no broker answers or the topic does not exist
   */
  async passed(keys: Iterable<string>, timeoutMs: number, signal: AbortSignal): Promise<(key: string) => boolean> {
    this.#observer ??= Consumer.observe(this.brokers, this.config, this.logger, this.of);
    const observer = await this.#observer;
    const { topic } = this.of;
    const ends = await Promise.all(
      (await observer.partitionsOf(topic)).map(async (partition) => ({
        topic,
        partition,
        ...(await observer.watermarks(topic, partition)),
      })),
    );
    const count = ends.length;
    const needed = new Set<number>();
    for (const key of keys) needed.add(partitionOfKey(key, count));
    // An empty one has nothing to be passed.
    const rest = new Map(ends.filter(({ low, high }) => high > low).map((end) => [end.partition, end]));
    for (const partition of rest.keys()) if (!needed.has(partition)) rest.delete(partition);
    const until = performance.now() + timeoutMs;
    while (rest.size > 0 && !signal.aborted) {
      for (const { partition, offset } of await observer.committed([...rest.values()])) {
        // A position beyond the end is one of a topic that was recreated.
        if (offset >= rest.get(partition)!.high && rest.delete(partition)) this.#lagging.delete(partition);
      }
      if (performance.now() > until || [...rest.keys()].every((partition) => this.#lagging.has(partition))) break;
      await wait(POLL_MS, signal);
    }
    for (const partition of rest.keys()) this.#lagging.add(partition);
    return (key) => {
      const partition = partitionOfKey(key, count);
      return needed.has(partition) && !rest.has(partition);
    };
  }

  async close(): Promise<void> {
    await (await this.#observer?.catch(() => undefined))?.close();
  }
}

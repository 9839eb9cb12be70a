import type { Logger } from '../logging.js';
import type { TopicPartition } from './incoming-record.js';

/** A compacted topic has a gap at nearly every record: they are told together. */
const LOG_INTERVAL_MS = 10_000;
/** What removes records. */
const SETTINGS = 'retention.ms, retention.bytes and cleanup.policy of the topic';

/** Says that records were removed before they were read. */
export class SkipLog {
  #loggedAt = -Infinity;
  /** Records of gaps that were not told yet. */
  #untold = 0;

  constructor(
    private readonly group: string,
    private readonly logger: Logger,
  ) {}

  note = ({ topic, partition }: TopicPartition, from: number, to: number): void => {
    this.#untold += to - from;
    const now = performance.now();
    if (now < this.#loggedAt + LOG_INTERVAL_MS) return;
    this.logger.error(
      { group: this.group, topic, partition, from, to, records: this.#untold, look_at: SETTINGS },
      'records were removed from Kafka before they were read',
    );
    this.#loggedAt = now;
    this.#untold = 0;
  };
}

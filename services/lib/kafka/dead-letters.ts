import { deathReason } from '../failure.js';
import type { Logger } from '../logging.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { IncomingRecord } from './consumer.js';
import type { OutgoingHeader, Producer } from './producer.js';

/** Why a record was given up. */
export interface DeadLetterReason {
  /** poison: no repetition helps. exhausted: it failed alone, again and again, while others succeeded. */
  readonly errorClass: 'poison' | 'exhausted';
  readonly error: Error;
  readonly attempts: number;
  /** Milliseconds since 1970. */
  readonly firstFailureAt: number;
  readonly lastFailureAt: number;
  /** For the metric, one of few words; absent: as the error says. */
  readonly why?: string;
}

/** The headers that a dead letter has besides its own; all values are text. */
export const DLQ_HEADER = {
  topic: 'dlq-topic',
  partition: 'dlq-partition',
  offset: 'dlq-offset',
  timestamp: 'dlq-timestamp',
  group: 'dlq-group',
  errorClass: 'dlq-error-class',
  errorMessage: 'dlq-error-message',
  attempts: 'dlq-attempts',
  firstFailureAt: 'dlq-first-failure-at',
  lastFailureAt: 'dlq-last-failure-at',
  /** How often the record was sent back to its topic; the only one that a redriven record keeps. */
  redrives: 'dlq-redrives',
} as const;

const MESSAGE_MAX = 2000;

export function dlqTopicOf(topic: string): string {
  return `${topic}-dlq`;
}

export interface DeadLettersDeps {
  readonly producer: Pick<Producer, 'publish'>;
  readonly group: string;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Told before the record is published, so that nobody sends it again meanwhile. It may be told of a record twice. */
  readonly remember: (record: IncomingRecord, reason: DeadLetterReason) => Promise<void>;
}

/**
 * Where records go that cannot be handled: `<topic>-dlq`, key, value and headers byte for byte, with the reason in added
 * headers. A record may get there twice, if a process dies before it has committed.
 */
export class DeadLetters {
  readonly #count;

  constructor(private readonly deps: DeadLettersDeps) {
    this.#count = deps.metrics.counter(
      'ssom.dead_letters',
      'Records that were given up, by topic, error class and reason.',
    );
  }

  /** @throws PublishFailed when Kafka does not take it */
  async send(record: IncomingRecord, reason: DeadLetterReason): Promise<void> {
    const { producer, group, logger, remember } = this.deps;
    await remember(record, reason);
    const added = {
      [DLQ_HEADER.topic]: record.topic,
      [DLQ_HEADER.partition]: String(record.partition),
      [DLQ_HEADER.offset]: String(record.offset),
      [DLQ_HEADER.timestamp]: String(record.timestamp),
      [DLQ_HEADER.group]: group,
      [DLQ_HEADER.errorClass]: reason.errorClass,
      [DLQ_HEADER.errorMessage]: describe(reason.error).slice(0, MESSAGE_MAX),
      [DLQ_HEADER.attempts]: String(reason.attempts),
      [DLQ_HEADER.firstFailureAt]: new Date(reason.firstFailureAt).toISOString(),
      [DLQ_HEADER.lastFailureAt]: new Date(reason.lastFailureAt).toISOString(),
    };
    await producer.publish([
      {
        topic: dlqTopicOf(record.topic),
        key: record.rawKey,
        value: record.value,
        headers: [
          ...record.headers,
          ...Object.entries(added).map(([name, value]): OutgoingHeader => ({ [name]: value })),
        ],
      },
    ]);
    const { topic, partition, offset } = record;
    const why = reason.errorClass === 'exhausted' ? 'exhausted' : (reason.why ?? deathReason(reason.error));
    this.#count.add(1, { topic, class: reason.errorClass, reason: why });
    logger.error(
      { err: reason.error, topic, partition, offset, class: reason.errorClass, attempts: reason.attempts },
      `a record cannot be handled; it is in ${dlqTopicOf(topic)} now (ssom-alert dlq show)`,
    );
  }
}

/** An error's message with those of its causes. */
function describe(error: Error): string {
  const { message, cause } = error;
  if (!(cause instanceof Error) || message.includes(cause.message)) return message;
  return `${message}: ${describe(cause)}`;
}

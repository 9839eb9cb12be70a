import type { Logger } from '../logging.js';
import { withTimeout } from '../retry.js';
import { startSend } from '../telemetry/kafka-spans.js';
import type { Metrics } from '../telemetry/metrics.js';
import { ATTR } from '../telemetry/names.js';
import { SpanBudget } from '../telemetry/span-budget.js';
import { type Attributes, failSpan, isSampled, spanTime, traceIdOf, type Tracing } from '../telemetry/tracing.js';
import type { IncomingRecord } from './consumer.js';
import { deadLetterReason } from './failure.js';
import { type OutgoingHeader, type OutgoingRecord, type Producer, PublishFailed } from './producer.js';
import { recordTraceparent } from './record-traceparent.js';

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
/**
 * How long a dead-letter topic may take, for which the records of its partition wait. A record that it takes later is
 * there, and kept in PostgreSQL until it is there twice.
 */
const PATIENCE_MS = 2000;
/**
 * How long a topic that took none is not asked again for the next one: a thousand bad records would wait one after the
 * other.
 */
const REFUSING_MS = 10_000;

export function dlqTopicOf(topic: string): string {
  return `${topic}-dlq`;
}

/** What a record is about. */
export interface RecordSubject {
  /** What its spans are counted by; absent: its trace. */
  readonly key?: number;
  /** What its span and its line in the log say of it. */
  readonly attributes?: Attributes;
  readonly fields?: Readonly<Record<string, unknown>>;
}

export interface DeadLettersDeps {
  readonly producer: Pick<Producer, 'publish'>;
  readonly group: string;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  /** What a record is about, as far as it can be read. */
  readonly identify: (record: IncomingRecord) => RecordSubject;
  /** Told before the record is published, so that nobody sends it again meanwhile. It may be told of a record twice. */
  readonly remember: (record: IncomingRecord, reason: DeadLetterReason) => Promise<void>;
  /** Keeps what its topic does not take, until it does. @returns false if there is no room for it */
  readonly keep: (record: IncomingRecord, letter: OutgoingRecord, waitsFor: string) => Promise<boolean>;
}

export function deadLetterCounter(metrics: Metrics): ReturnType<Metrics['counter']> {
  return metrics.counter('ssom.dead_letters', 'Records that were given up, by topic, error class and reason.');
}

/** What a dead letter has besides the record's own headers. */
export function deadLetterHeaders(
  { topic, partition, offset, timestamp }: Pick<IncomingRecord, 'topic' | 'partition' | 'offset' | 'timestamp'>,
  group: string,
  reason: DeadLetterReason,
): OutgoingHeader[] {
  const added = {
    [DLQ_HEADER.topic]: topic,
    [DLQ_HEADER.partition]: String(partition),
    [DLQ_HEADER.offset]: String(offset),
    [DLQ_HEADER.timestamp]: String(timestamp),
    [DLQ_HEADER.group]: group,
    [DLQ_HEADER.errorClass]: reason.errorClass,
    [DLQ_HEADER.errorMessage]: describe(reason.error).slice(0, MESSAGE_MAX),
    [DLQ_HEADER.attempts]: String(reason.attempts),
    [DLQ_HEADER.firstFailureAt]: new Date(reason.firstFailureAt).toISOString(),
    [DLQ_HEADER.lastFailureAt]: new Date(reason.lastFailureAt).toISOString(),
  };
  return Object.entries(added).map(([name, value]) => ({ [name]: value }));
}

/**
 * Where records go that cannot be handled: `<topic>-dlq`, byte for byte, the reason in added headers; twice, if a
 * process dies before it has committed. What the topic does not take waits in PostgreSQL.
 */
export class DeadLetters {
  readonly #count;
  /** Topics that took nothing, and until when they are not asked; by performance.now(). */
  readonly #refusing = new Map<string, { until: number; error: Error }>();
  readonly #budget = new SpanBudget();

  constructor(private readonly deps: DeadLettersDeps) {
    this.#count = deadLetterCounter(deps.metrics);
  }

  /** @throws when neither Kafka nor PostgreSQL takes it */
  async send(record: IncomingRecord, reason: DeadLetterReason): Promise<void> {
    const { group, logger, identify, remember, keep } = this.deps;
    const startedAt = spanTime();
    await remember(record, reason);
    const letter = {
      topic: dlqTopicOf(record.topic),
      key: record.rawKey,
      value: record.value,
      headers: [...record.headers, ...deadLetterHeaders(record, group, reason)],
    };
    const refusal = await this.#publish(letter);
    if (refusal !== undefined && !(await keep(record, letter, refusal.message)))
      throw new PublishFailed(`no room in PostgreSQL for more dead letters, and ${refusal.message}`, {
        cause: refusal,
      });
    const { topic, partition, offset } = record;
    const why = reason.errorClass === 'exhausted' ? 'exhausted' : (reason.why ?? deadLetterReason(reason.error));
    const subject = identify(record);
    const traceparent = recordTraceparent(record);
    this.#count.add(1, { topic, class: reason.errorClass, reason: why });
    this.#trace(record, reason, traceparent, subject, startedAt);
    logger.error(
      {
        err: reason.error,
        trace_id: traceIdOf(traceparent),
        ...subject.fields,
        topic,
        partition,
        offset,
        class: reason.errorClass,
        attempts: reason.attempts,
        ...(refusal === undefined ? {} : { waits_for: refusal.message }),
      },
      refusal === undefined
        ? `a record cannot be handled; it is in ${letter.topic} now (ssom-alert dlq show)`
        : `a record cannot be handled; it waits in PostgreSQL, as ${letter.topic} does not take it (ssom-alert dlq show)`,
    );
  }

  /** @returns why the topic does not take it; undefined: it does */
  async #publish(letter: OutgoingRecord): Promise<Error | undefined> {
    const refusing = this.#refusing.get(letter.topic);
    if (refusing !== undefined && performance.now() < refusing.until) return refusing.error;
    try {
      await withTimeout(this.deps.producer.publish([letter]), PATIENCE_MS, `publishing to ${letter.topic}`);
      this.#refusing.delete(letter.topic);
      return undefined;
    } catch (reason) {
      const error = reason as Error;
      // What it refuses for good is about this record; the next one may be small enough.
      if (!(error instanceof PublishFailed && error.permanent))
        this.#refusing.set(letter.topic, { until: performance.now() + REFUSING_MS, error });
      return error;
    }
  }

  /** In the record's own trace: that it went no further is why one looks at the trace. */
  #trace(
    { topic, partition, offset }: IncomingRecord,
    { error, errorClass, attempts }: DeadLetterReason,
    parent: string | undefined,
    { key, attributes }: RecordSubject,
    startTime: number,
  ): void {
    const { tracing, group } = this.deps;
    if (!tracing.enabled || !isSampled(parent) || !this.#budget.takeExceptional(key ?? parent)) return;
    const span = startSend(tracing, dlqTopicOf(topic), {
      parent,
      startTime,
      attributes: {
        [ATTR.messagingGroup]: group,
        [ATTR.messagingPartition]: String(partition),
        [ATTR.kafkaOffset]: offset,
        [ATTR.deadLetterClass]: errorClass,
        [ATTR.attempt]: attempts,
        ...attributes,
      },
    });
    failSpan(span, error, spanTime());
  }
}

/** How often a record was sent back from the dead letters. */
export function redrivesOf({ headers }: Pick<IncomingRecord, 'headers'>): number {
  for (const header of headers) {
    const value = header[DLQ_HEADER.redrives];
    if (value !== undefined) return Number(value.toString()) || 0;
  }
  return 0;
}

/** An error's message with those of its causes. */
function describe(error: Error): string {
  const { message, cause } = error;
  if (!(cause instanceof Error) || message.includes(cause.message)) return message;
  return `${message}: ${describe(cause)}`;
}

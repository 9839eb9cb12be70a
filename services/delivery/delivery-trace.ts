import type { IncomingRecord } from '../lib/kafka/consumer.js';
import { redrivesOf } from '../lib/kafka/dead-letters.js';
import { recordTraceparent } from '../lib/kafka/record-traceparent.js';
import { attemptAttributes, FailureCounts, isRecordedAttempt } from '../lib/telemetry/attempts.js';
import { ATTR, KAFKA, SPAN } from '../lib/telemetry/names.js';
import { SpanBudget } from '../lib/telemetry/span-budget.js';
import { StatementLog } from '../lib/telemetry/statements.js';
import {
  failSpan,
  isSampled,
  SpanKind,
  spanTime,
  traceparentOf,
  type Attributes,
  type Span,
  type Tracing,
} from '../lib/telemetry/tracing.js';
import { showLongWait } from '../lib/telemetry/wait-span.js';

export interface DeliveryTracingOptions {
  readonly tracing: Tracing;
  readonly group: string;
  /** From here on, the time in Kafka included, an alert's delivery is called slow. */
  readonly slowMs: number;
  /** The topic of what is announced. */
  readonly announcedIn: () => string;
}

/** What a batch holds of one alert, as one record of fan-out's brought it. */
interface Share {
  readonly parent: string;
  readonly alertId: number;
  records: number;
  /** When the oldest of its records was written. */
  writtenAt: number;
  readonly redrives: number;
  /** What the announcements of its changes are children of. */
  announced: string;
  process?: Span;
  send?: Span;
}

/** What the spans of several batches have in common. */
export class DeliveryTracing {
  readonly budget = new SpanBudget();
  readonly failures = new FailureCounts();

  constructor(readonly options: DeliveryTracingOptions) {}

  begin(): DeliveryTrace {
    return new DeliveryTrace(this);
  }
}

/**
 * The spans of one batch: for each alert one in its own trace, and one of the batch with the statements below it, in the trace
 * of the first alert and with links to the others. Of an alert to thousands the first batches are recorded, and further
 * ones that were slow or failed: see SpanBudget.
 */
export class DeliveryTrace {
  /** By traceparent. */
  readonly #shares = new Map<string, Share>();
  /** An alert's share, as far as it is the same for all of its records. */
  readonly #shareOf = new Map<number, Share>();
  /** Where it is another: a record that was redriven or reconciled. */
  readonly #exceptions = new Map<string, Share>();
  readonly #startedAt = spanTime();
  /** Why deliveries of these shares cannot be. */
  readonly #refused = new Map<Share, Error>();
  /** The one that has the span of the batch below it. */
  #first: Share | undefined;
  #batch: Span | undefined;
  #statements: StatementLog | undefined;

  constructor(private readonly shared: DeliveryTracing) {}

  add(alertId: number, userId: string, record: IncomingRecord): void {
    if (record.headers.length === 0) return;
    const parent = recordTraceparent(record);
    const usual = this.#shareOf.get(alertId);
    if (parent !== undefined && parent === usual?.parent) return count(usual, record);
    if (!isSampled(parent)) return;
    const share = this.#shares.get(parent);
    if (share !== undefined) count(share, record);
    const its = share ?? this.#newShare(alertId, parent, record);
    if (usual === undefined) this.#shareOf.set(alertId, its);
    else this.#exceptions.set(`${alertId} ${userId}`, its);
  }

  #newShare(alertId: number, parent: string, record: IncomingRecord): Share {
    const redrives = record.headers.length > 1 ? redrivesOf(record) : 0;
    const share = { parent, alertId, records: 1, writtenAt: record.timestamp, redrives, announced: parent };
    this.#shares.set(parent, share);
    return share;
  }

  /** All records are known: begins the spans. @returns who is to be told of the statements */
  start(topic: string): StatementLog | undefined {
    const { budget, failures, options } = this.shared;
    if (this.#shares.size === 0 || !options.tracing.enabled) return undefined;
    const recorded = [...this.#shares.values()].filter(
      ({ alertId }) => isRecordedAttempt(failures.attemptAt(alertId)) && budget.take(alertId),
    );
    const [first, ...others] = recorded;
    this.#first = first;
    if (first !== undefined) {
      first.process = this.#startProcess(topic, first);
      this.#batch = options.tracing.start(SPAN.processBatch(topic), {
        parent: traceparentOf(first.process),
        links: others.map(({ parent }) => parent),
        attributes: { [ATTR.batchAlerts]: this.#shares.size },
      });
    }
    for (const share of others) share.process = this.#startProcess(topic, share);
    this.#statements = new StatementLog();
    return this.#statements;
  }

  #startProcess(topic: string, share: Share, startTime?: number): Span {
    const { options, failures } = this.shared;
    const attempt = failures.attemptAt(share.alertId);
    if (attempt === 1) this.#showWait(topic, share);
    const attributes: Attributes = {
      [ATTR.messagingSystem]: KAFKA,
      [ATTR.messagingDestination]: topic,
      [ATTR.messagingOperation]: 'process',
      [ATTR.messagingOperationType]: 'process',
      [ATTR.messagingGroup]: options.group,
      [ATTR.messagingBatchCount]: share.records,
      [ATTR.alertId]: share.alertId,
      [ATTR.kafkaWait]: this.#waited(share),
      ...attemptAttributes(attempt),
    };
    if (share.redrives > 0) attributes[ATTR.redrives] = share.redrives;
    const batch = traceparentOf(this.#batch);
    return options.tracing.start(SPAN.process(topic), {
      kind: SpanKind.CONSUMER,
      parent: share.parent,
      attributes,
      ...(batch === undefined ? {} : { links: [batch] }),
      ...(startTime === undefined ? {} : { startTime }),
    });
  }

  /** Told where it was taken up first, and where it succeeded: of each attempt between it would be a longer one. */
  #showWait(topic: string, { parent, alertId, writtenAt }: Share): void {
    const { tracing, slowMs } = this.shared.options;
    showLongWait(tracing, slowMs, { in: topic, parent, alertId, from: writtenAt, to: this.#startedAt });
  }

  #waited({ writtenAt }: Share): number {
    return Math.max(0, Math.round(this.#startedAt - writtenAt));
  }

  /** The changes are stored and about to be announced. */
  announce(): void {
    const { options } = this.shared;
    for (const share of this.#shares.values()) {
      if (share.process === undefined) continue;
      share.send = options.tracing.start(SPAN.send(options.announcedIn()), {
        kind: SpanKind.PRODUCER,
        parent: traceparentOf(share.process),
        attributes: {
          [ATTR.messagingSystem]: KAFKA,
          [ATTR.messagingDestination]: options.announcedIn(),
          [ATTR.messagingOperation]: 'send',
          [ATTR.messagingOperationType]: 'send',
          [ATTR.alertId]: share.alertId,
        },
      });
      share.announced = traceparentOf(share.send)!;
    }
  }

  #find(alertId: number, userId: string): Share | undefined {
    const exception = this.#exceptions.size === 0 ? undefined : this.#exceptions.get(`${alertId} ${userId}`);
    return exception ?? this.#shareOf.get(alertId);
  }

  /** This delivery cannot be. */
  refuse(alertId: number, userId: string, error: Error): void {
    const share = this.#find(alertId, userId);
    if (share !== undefined) this.#refused.set(share, error);
  }

  /** What the announcement of a change is a child of. */
  traceparentFor(alertId: number, userId: string): string | undefined {
    return this.#find(alertId, userId)?.announced;
  }

  /** @param error why all of it is to be done again */
  end(topic: string, error?: Error): void {
    const { options, budget, failures } = this.shared;
    if (this.#shares.size === 0 || !options.tracing.enabled) return;
    const endedAt = spanTime();
    const ms = endedAt - this.#startedAt;
    if (this.#batch !== undefined) {
      this.#statements!.writeBelow(options.tracing, this.#batch);
      finish(this.#batch, error, endedAt);
    }
    for (const share of this.#shares.values()) {
      const attempt = failures.attemptAt(share.alertId);
      const slow = ms + this.#waited(share) > options.slowMs;
      const failure = error ?? this.#refused.get(share);
      const exceptional = slow || failure !== undefined || attempt > 1;
      // That it succeeded at last is told in any case.
      const isTold = failure === undefined || isRecordedAttempt(attempt);
      if (share.process === undefined && exceptional && isTold && budget.takeExceptional(share.alertId))
        share.process = this.#startProcess(topic, share, this.#startedAt);
      failures.note(share.alertId, failure !== undefined);
      if (share.process === undefined) continue;
      if (failure === undefined && attempt > 1) this.#showWait(topic, share);
      if (slow) share.process.setAttribute(ATTR.slow, true);
      // Of the others they are where the link leads.
      if (share !== this.#first && (ms > options.slowMs || failure !== undefined))
        this.#statements!.writeBelow(options.tracing, share.process);
      if (share.send !== undefined) finish(share.send, failure, endedAt);
      finish(share.process, failure, endedAt);
    }
  }
}

function count(share: Share, { timestamp }: IncomingRecord): void {
  share.records += 1;
  share.writtenAt = Math.min(share.writtenAt, timestamp);
}

function finish(span: Span, error: Error | undefined, endedAt: number): void {
  if (error === undefined) span.end(endedAt);
  else failSpan(span, error, endedAt);
}

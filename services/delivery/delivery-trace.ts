import { alertAttributes } from '../domain/alert-attributes.js';
import type { UserAlertEvent } from '../events/event-types.js';
import type { ReadRecords } from '../events/read-records.js';
import type { IncomingRecord } from '../lib/kafka/consumer.js';
import { redrivesOf } from '../lib/kafka/dead-letters.js';
import { recordTraceparent } from '../lib/kafka/record-traceparent.js';
import type { StatementObserver } from '../lib/postgres.js';
import { attemptAttributes, FailureCounts } from '../lib/telemetry/attempts.js';
import { BatchTrace, type BatchTracing, type Outcome, type Share } from '../lib/telemetry/batch-trace.js';
import { startProcess, startSend, waitedMs } from '../lib/telemetry/kafka-spans.js';
import { ATTR, SPAN } from '../lib/telemetry/names.js';
import { SpanBudget } from '../lib/telemetry/span-budget.js';
import { endSpan, isSampled, type Span, spanTime, traceparentOf, type Tracing } from '../lib/telemetry/tracing.js';
import type { DeliveryResult } from '../store/inbox-delivery.js';

/** What a batch holds of one alert, as one record of fan-out's brought it; since when its oldest record was written. */
interface DeliveryShare extends Share {
  since: number;
  records: number;
  readonly redrives: number;
  /** What the announcements of its changes are children of. */
  announced: string;
  send?: Span;
}

/** What the spans of several batches have in common. */
export class DeliveryTracing implements BatchTracing {
  readonly budget = new SpanBudget();
  readonly failures = new FailureCounts();

  constructor(
    readonly tracing: Tracing,
    /** From here on, the time in Kafka included, an alert's delivery is called slow. */
    readonly slowMs: number,
    readonly names: { readonly group: string; readonly userAlertTopic: string; readonly inboxChangeTopic: string },
  ) {}

  /** @param startedAt by performance.now() */
  begin(read: ReadRecords<UserAlertEvent>['read'], startedAt = performance.now()): DeliveryTrace {
    return new DeliveryTrace(this, read, performance.timeOrigin + startedAt);
  }
}

/**
 * The spans of one batch: for each alert one in its own trace, and one of the batch with the statements below it, in
 * the trace of the first alert and with links to the others.
 */
export class DeliveryTrace extends BatchTrace<DeliveryShare> {
  /** An alert's share, as far as it is the same for all of its records. */
  readonly #usual = new Map<number, DeliveryShare>();
  /** Where it is another: a record that was redriven or reconciled. */
  #exceptions: Map<string, DeliveryShare> | undefined;
  /** The one that has the span of the batch below it. */
  #first: DeliveryShare | undefined;
  #batch: Span | undefined;

  constructor(
    protected override readonly shared: DeliveryTracing,
    read: ReadRecords<UserAlertEvent>['read'],
    startedAt: number,
  ) {
    super(shared, new Map(), startedAt);
    for (const { record, event } of read) this.#add(event, record);
    if (this.#isRecorded) this.#begin();
  }

  get #isRecorded(): boolean {
    return this.shares.size > 0 && this.shared.tracing.enabled;
  }

  #add({ alertId, userId }: UserAlertEvent, record: IncomingRecord): void {
    if (record.headers.length === 0) return;
    const parent = recordTraceparent(record);
    const usual = this.#usual.get(alertId);
    if (parent !== undefined && parent === usual?.parent) return count(usual, record);
    if (!isSampled(parent)) return;
    let share = this.shares.get(parent);
    if (share !== undefined) count(share, record);
    else {
      const redrives = record.headers.length > 1 ? redrivesOf(record) : 0;
      const about = alertAttributes(alertId);
      share = { parent, key: alertId, about, since: record.timestamp, records: 1, redrives, announced: parent };
      this.shares.set(parent, share);
    }
    if (usual === undefined) this.#usual.set(alertId, share);
    else (this.#exceptions ??= new Map()).set(`${alertId} ${userId}`, share);
  }

  #begin(): void {
    const { tracing, names } = this.shared;
    const [first, ...others] = this.ordinary();
    if (first === undefined) return;
    this.begin(first);
    this.#first = first;
    this.#batch = tracing.start(SPAN.processBatch(names.userAlertTopic), {
      parent: traceparentOf(first.span),
      links: others.map(({ parent }) => parent),
      attributes: { [ATTR.batchAlerts]: this.shares.size },
    });
    for (const share of others) this.begin(share);
  }

  protected open(share: DeliveryShare, attempt: number): Span {
    const { tracing, names } = this.shared;
    // And where it succeeds at last: of each attempt between it would be a longer one.
    if (attempt === 1) this.showWait(share, names.userAlertTopic);
    const batch = traceparentOf(this.#batch);
    return startProcess(tracing, names.userAlertTopic, {
      parent: share.parent,
      startTime: this.startedAt,
      ...(batch === undefined ? {} : { links: [batch] }),
      attributes: {
        [ATTR.messagingGroup]: names.group,
        [ATTR.messagingBatchCount]: share.records,
        ...share.about,
        [ATTR.kafkaWait]: waitedMs(share.since, this.startedAt),
        ...attemptAttributes(attempt),
        ...(share.redrives > 0 ? { [ATTR.redrives]: share.redrives } : {}),
      },
    });
  }

  /** Follows a delivery to its end, which is told by what `deliver` returns or throws. */
  async follow(
    deliver: (statements: StatementObserver | undefined) => Promise<DeliveryResult>,
  ): Promise<DeliveryResult> {
    try {
      const result = await deliver(this.#isRecorded ? this.statements : undefined);
      const refused = new Map<DeliveryShare | undefined, Error>();
      for (const { delivery, reason } of result.impossible)
        refused.set(this.#find(delivery.alertId, delivery.userId), new Error(reason));
      this.#end((share) => refused.get(share));
      return result;
    } catch (error) {
      this.#end(() => error as Error, error as Error);
      throw error;
    }
  }

  /** The changes are stored and about to be announced. */
  announce(): void {
    const { tracing, names } = this.shared;
    for (const share of this.shares.values()) {
      if (share.span === undefined) continue;
      const { span, about } = share;
      share.send = startSend(tracing, names.inboxChangeTopic, { parent: traceparentOf(span), attributes: about });
      share.announced = traceparentOf(share.send)!;
    }
  }

  #find(alertId: number, userId: string): DeliveryShare | undefined {
    return this.#exceptions?.get(`${alertId} ${userId}`) ?? this.#usual.get(alertId);
  }

  /** What the announcement of a change is a child of. */
  traceparentFor = (alertId: number, userId: string): string | undefined => this.#find(alertId, userId)?.announced;

  #end(errorOf: (share: DeliveryShare) => Error | undefined, error?: Error): void {
    if (!this.#isRecorded) return;
    if (this.#batch !== undefined) {
      this.statements.writeBelow(this.shared.tracing, this.#batch);
      endSpan(this.#batch, { error, endedAt: spanTime() });
    }
    this.endAll(errorOf);
  }

  /** Of the others they are where the link leads. */
  protected override showsStatements(share: DeliveryShare, _isFirst: boolean, isExceptional: boolean): boolean {
    return share !== this.#first && isExceptional;
  }

  protected override close(share: DeliveryShare, outcome: Outcome): void {
    const { error, attempt, endedAt } = outcome;
    if (error === undefined && attempt > 1) this.showWait(share, this.shared.names.userAlertTopic);
    if (share.send !== undefined) endSpan(share.send, { error, endedAt });
    super.close(share, outcome);
  }
}

function count(share: DeliveryShare, { timestamp }: IncomingRecord): void {
  share.records += 1;
  share.since = Math.min(share.since, timestamp);
}

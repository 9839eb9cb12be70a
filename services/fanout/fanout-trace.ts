import { ALERT_ATTR, alertAttributes } from '../domain/alert-attributes.js';
import type { AlertCreatedEvent } from '../events/event-types.js';
import type { IncomingRecord } from '../lib/kafka/consumer.js';
import { redrivesOf } from '../lib/kafka/dead-letters.js';
import { recordTraceparent } from '../lib/kafka/record-traceparent.js';
import { startProcess, startSend, waitedMs } from '../lib/telemetry/kafka-spans.js';
import { ATTR, RETRY_EVENT } from '../lib/telemetry/names.js';
import { StatementLog } from '../lib/telemetry/statements.js';
import { isSampled, type Span, spanTime, traceparentOf, type Tracing } from '../lib/telemetry/tracing.js';
import { showLongWait } from '../lib/telemetry/wait-span.js';

export interface FanoutTracingOptions {
  readonly tracing: Tracing;
  readonly group: string;
  /** From here on, the time in Kafka included, an alert's fan-out is called slow. */
  readonly slowMs: number;
  readonly userAlertTopic: string;
}

/** Alerts that were polled together, and the statements that found their recipients. */
export interface Take {
  /** As spans have it. */
  readonly startedAt: number;
  /** The same by performance.now(). */
  readonly since: number;
  /** How often their recipients could not be found. */
  failures: number;
  /** Undefined if none of them is recorded. */
  readonly statements: StatementLog | undefined;
  /** Whether somebody's trace shows the statements already. */
  shown: boolean;
}

export class FanoutTracing {
  constructor(private readonly options: FanoutTracingOptions) {}

  take(records: readonly IncomingRecord[]): Take {
    const { tracing } = this.options;
    const recorded = tracing.enabled && records.some((record) => isSampled(recordTraceparent(record)));
    return {
      startedAt: spanTime(),
      since: performance.now(),
      failures: 0,
      statements: recorded ? new StatementLog() : undefined,
      shown: false,
    };
  }

  /** @returns undefined if the alert is not recorded */
  begin(record: IncomingRecord, event: AlertCreatedEvent, recipients: number, take: Take): FanoutTrace | undefined {
    const parent = recordTraceparent(record);
    if (take.statements === undefined || !isSampled(parent)) return undefined;
    return new FanoutTrace(this.options, { record, event, recipients, parent }, take);
  }
}

/** The spans of one alert's fan-out: its processing, and the publication of its user alerts below it. */
export class FanoutTrace {
  readonly #process: Span;
  readonly #send: Span;

  constructor(
    private readonly options: FanoutTracingOptions,
    private readonly job: { record: IncomingRecord; event: AlertCreatedEvent; recipients: number; parent: string },
    take: Take,
  ) {
    const { tracing, group, userAlertTopic } = options;
    const { record, event, recipients, parent } = job;
    const redrives = record.headers.length > 1 ? redrivesOf(record) : 0;
    const { alertId, alertKind } = event;
    const { startedAt } = take;
    const alert = alertAttributes(alertId);
    const wait = { in: record.topic, parent, attributes: alert, from: record.timestamp, to: startedAt };
    showLongWait(tracing, options.slowMs, wait);
    this.#process = startProcess(tracing, record.topic, {
      parent,
      startTime: startedAt,
      attributes: {
        [ATTR.messagingGroup]: group,
        [ATTR.messagingPartition]: String(record.partition),
        [ATTR.kafkaOffset]: record.offset,
        [ATTR.kafkaWait]: waitedMs(record.timestamp, startedAt),
        ...alert,
        [ALERT_ATTR.kind]: alertKind,
        [ALERT_ATTR.recipients]: recipients,
        ...(take.failures > 0 ? { [ATTR.attempt]: take.failures + 1 } : {}),
        ...(redrives > 0 ? { [ATTR.redrives]: redrives } : {}),
      },
    });
    // The first of those that were polled together shows what was asked for all of them.
    if (!take.shown) take.statements?.writeBelow(tracing, this.#process);
    take.shown = true;
    this.#send = startSend(tracing, userAlertTopic, {
      parent: traceparentOf(this.#process),
      attributes: { [ATTR.messagingBatchCount]: recipients, ...alert },
    });
  }

  /** What the user alerts are children of. */
  get traceparent(): string {
    return traceparentOf(this.#send)!;
  }

  /** A round of its records failed and comes again. */
  retried(error: Error): void {
    this.#send.addEvent(RETRY_EVENT, { [ATTR.errorType]: error.name });
  }

  /** All is published, or its partition is somebody else's now. */
  end(): void {
    if (spanTime() - this.job.record.timestamp > this.options.slowMs) this.#process.setAttribute(ATTR.slow, true);
    this.#send.end();
    this.#process.end();
  }

  /** Shows the statements that noted its progress; they come after its end. */
  show(statements: StatementLog): void {
    statements.writeBelow(this.options.tracing, this.#process);
  }
}

import type { CreatedAlert } from '../events/records.js';
import { attemptAttributes, FailureCounts, isRecordedAttempt } from '../lib/telemetry/attempts.js';
import { ATTR, KAFKA, SPAN } from '../lib/telemetry/names.js';
import {
  failSpan,
  isSampled,
  SpanKind,
  spanTime,
  traceparentOf,
  type Span,
  type Tracing,
} from '../lib/telemetry/tracing.js';
import { showLongWait } from '../lib/telemetry/wait-span.js';

/** What the spans of several publications have in common. */
export class RelayTracing {
  readonly failures = new FailureCounts();

  constructor(
    readonly tracing: Tracing,
    /** From here on a wait in the outbox is called long. */
    readonly slowMs: number,
  ) {}

  /** @param swept whether they were left over, so that an earlier attempt may be seen in their traces */
  begin(topic: string, alerts: readonly CreatedAlert[], swept: boolean): RelayTrace {
    return new RelayTrace(this, topic, this.tracing.enabled ? alerts.filter(isRecorded) : [], swept);
  }
}

function isRecorded({ traceparent }: CreatedAlert): boolean {
  return isSampled(traceparent);
}

/** One publication: a span in the trace of each alert. */
export class RelayTrace {
  readonly #startedAt = spanTime();
  /** By alert; of those that fail often only some have one. */
  readonly #spans = new Map<number, Span>();

  constructor(
    private readonly shared: RelayTracing,
    private readonly topic: string,
    private readonly recorded: readonly CreatedAlert[],
    private readonly swept: boolean,
  ) {
    for (const created of recorded) {
      const { alertId } = created.alert;
      if (isRecordedAttempt(shared.failures.attemptAt(alertId))) this.#spans.set(alertId, this.#start(created));
    }
  }

  /** What the alert's event is a child of. */
  traceparentFor({ alert, traceparent }: CreatedAlert): string | undefined {
    return traceparentOf(this.#spans.get(alert.alertId)) ?? traceparent;
  }

  /** @param failures of those alerts that were not published */
  end(failures: ReadonlyMap<number, Error>): void {
    for (const created of this.recorded) {
      const { alertId } = created.alert;
      const error = failures.get(alertId);
      let span = this.#spans.get(alertId);
      if (error === undefined) {
        // That it went out at last is told in any case.
        span ??= this.#start(created);
        this.#showWait(created);
        if (spanTime() - this.#startedAt > this.shared.slowMs) span.setAttribute(ATTR.slow, true);
        span.end();
      } else failSpan(span, error);
      this.shared.failures.note(alertId, error !== undefined);
    }
  }

  #showWait({ alert, traceparent: parent }: CreatedAlert): void {
    if (!this.swept) return;
    const { tracing, slowMs } = this.shared;
    const { alertId, createdAt } = alert;
    showLongWait(tracing, slowMs, { in: 'outbox', parent, alertId, from: createdAt, to: this.#startedAt });
  }

  #start({ alert, traceparent: parent }: CreatedAlert): Span {
    const { tracing, failures } = this.shared;
    return tracing.start(SPAN.send(this.topic), {
      kind: SpanKind.PRODUCER,
      parent,
      startTime: this.#startedAt,
      attributes: {
        [ATTR.messagingSystem]: KAFKA,
        [ATTR.messagingDestination]: this.topic,
        [ATTR.messagingOperation]: 'send',
        [ATTR.messagingOperationType]: 'send',
        [ATTR.alertId]: alert.alertId,
        ...attemptAttributes(failures.attemptAt(alert.alertId)),
        ...(this.swept ? { [ATTR.swept]: true } : {}),
      },
    });
  }
}

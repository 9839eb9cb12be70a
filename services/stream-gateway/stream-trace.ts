import type { InboxChangedEvent } from '../events/event-types.js';
import { ATTR, SPAN } from '../lib/telemetry/names.js';
import { SpanBudget } from '../lib/telemetry/span-budget.js';
import { StatementLog } from '../lib/telemetry/statements.js';
import { isSampled, SpanKind, spanTime, type Span, type Tracing } from '../lib/telemetry/tracing.js';
import { showLongWait } from '../lib/telemetry/wait-span.js';

/** Changes that Kafka brought, and the streams that they are for. */
export interface Handed {
  readonly event: InboxChangedEvent;
  readonly streams: ReadonlySet<unknown>;
  readonly topic: string;
  /** When the record was written, in milliseconds since 1970. */
  readonly writtenAt: number;
}

/** What one hand-out holds of one alert. */
interface Share {
  readonly parent: string;
  readonly alertId: number;
  streams: number;
  writtenAt: number;
  readonly topic: string;
}

/** The spans of changes on their way to streams: see SpanBudget for which of them are recorded. */
export class StreamTracing {
  readonly #budget = new SpanBudget();

  constructor(
    private readonly tracing: Tracing,
    /** From here on, the time in Kafka included, a delivery is called slow. */
    private readonly slowMs: number,
  ) {}

  /** @returns undefined if nothing of it is recorded */
  begin(handed: readonly Handed[]): StreamTrace | undefined {
    if (!this.tracing.enabled) return undefined;
    const startedAt = spanTime();
    const spans: { span: Span; writtenAt: number }[] = [];
    for (const share of sharesOf(handed)) {
      const waited = Math.max(0, Math.round(startedAt - share.writtenAt));
      const { alertId, parent } = share;
      if (!this.#budget.take(alertId) && !(waited > this.slowMs && this.#budget.takeExceptional(alertId))) continue;
      const wait = { in: share.topic, parent, alertId, from: share.writtenAt, to: startedAt };
      showLongWait(this.tracing, this.slowMs, wait);
      const span = this.tracing.start(SPAN.deliver, {
        kind: SpanKind.CONSUMER,
        parent,
        startTime: startedAt,
        attributes: { [ATTR.alertId]: alertId, [ATTR.streams]: share.streams, [ATTR.kafkaWait]: waited },
      });
      spans.push({ span, writtenAt: share.writtenAt });
    }
    return spans.length === 0 ? undefined : new StreamTrace(this.tracing, this.slowMs, spans);
  }
}

/** The spans of one hand-out; its statements are seen below the first of them. */
export class StreamTrace {
  readonly statements = new StatementLog();

  constructor(
    private readonly tracing: Tracing,
    private readonly slowMs: number,
    private readonly spans: readonly { span: Span; writtenAt: number }[],
  ) {}

  /** All streams have it, or will read it from PostgreSQL. */
  end(): void {
    const endedAt = spanTime();
    this.statements.writeBelow(this.tracing, this.spans[0]!.span);
    for (const { span, writtenAt } of this.spans) {
      if (endedAt - writtenAt > this.slowMs) span.setAttribute(ATTR.slow, true);
      span.end(endedAt);
    }
  }
}

function sharesOf(handed: readonly Handed[]): Iterable<Share> {
  const shares = new Map<string, Share>();
  let last: Share | undefined;
  for (const { event, streams, topic, writtenAt } of handed) {
    for (const { traceparent, alertId } of event.changes) {
      if (traceparent === '') continue;
      // In a broadcast it is the same one again and again.
      let share: Share | undefined = traceparent === last?.parent ? last : shares.get(traceparent);
      if (share === undefined) {
        if (!isSampled(traceparent)) continue;
        share = { parent: traceparent, alertId, streams: 0, topic, writtenAt };
        shares.set(traceparent, share);
      }
      share.streams += streams.size;
      share.writtenAt = Math.min(share.writtenAt, writtenAt);
      last = share;
    }
  }
  return shares.values();
}

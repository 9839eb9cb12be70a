import { alertAttributes } from '../domain/alert-attributes.js';
import type { InboxChangedEvent } from '../events/event-types.js';
import { BatchTrace, type BatchTracing, type Share } from '../lib/telemetry/batch-trace.js';
import { waitedMs } from '../lib/telemetry/kafka-spans.js';
import { ATTR, SPAN } from '../lib/telemetry/names.js';
import { SpanBudget } from '../lib/telemetry/span-budget.js';
import { isSampled, type Span, SpanKind, type Tracing } from '../lib/telemetry/tracing.js';
import type { AlertStream } from './alert-stream.js';

/** A change that Kafka brought, and the streams that it is for. */
export interface DispatchedChange<Stream = AlertStream> {
  readonly event: InboxChangedEvent;
  readonly streams: ReadonlySet<Stream>;
  readonly topic: string;
  /** When the record was written, in milliseconds since 1970. */
  readonly writtenAt: number;
}

/** What one hand-out holds of one alert; since when its oldest record was written. */
interface StreamShare extends Share {
  since: number;
  streams: number;
  readonly topic: string;
}

/** A failure of a hand-out, and whose it is. */
export interface HandOutFailure {
  readonly error: Error;
  readonly concerns: (alertId: number) => boolean;
}

/** The spans of changes on their way to streams: see SpanBudget for which of them are recorded. */
export class StreamTracing implements BatchTracing {
  readonly budget = new SpanBudget();

  constructor(
    readonly tracing: Tracing,
    /** From here on, the time in Kafka included, a delivery is called slow. */
    readonly slowMs: number,
  ) {}

  /** @returns undefined if none of it belongs to a recorded trace */
  begin(changes: readonly DispatchedChange<unknown>[]): StreamTrace | undefined {
    if (!this.tracing.enabled) return undefined;
    const shares = sharesOf(changes);
    return shares.size === 0 ? undefined : new StreamTrace(this, shares);
  }
}

/** One hand-out. Its spans are made when it has ended, since only then it is known which are worth one. */
export class StreamTrace extends BatchTrace<StreamShare> {
  /** All streams have it, or will read it from PostgreSQL. */
  end(failure?: HandOutFailure): void {
    this.endAll(({ key }) => (failure?.concerns(key) === true ? failure.error : undefined));
  }

  protected open(share: StreamShare): Span {
    const { parent, about, since, streams, topic } = share;
    const startTime = this.startedAt;
    this.showWait(share, topic);
    const attributes = { ...about, [ATTR.streams]: streams, [ATTR.kafkaWait]: waitedMs(since, startTime) };
    return this.shared.tracing.start(SPAN.deliver, { kind: SpanKind.CONSUMER, parent, startTime, attributes });
  }
}

function sharesOf(changes: readonly DispatchedChange<unknown>[]): Map<string, StreamShare> {
  const shares = new Map<string, StreamShare>();
  let last: StreamShare | undefined;
  for (const { event, streams, topic, writtenAt } of changes) {
    for (const { traceparent, alertId } of event.changes) {
      if (traceparent === '') continue;
      // In a broadcast it is the same one again and again.
      let share: StreamShare | undefined = traceparent === last?.parent ? last : shares.get(traceparent);
      if (share === undefined) {
        if (!isSampled(traceparent)) continue;
        share = {
          parent: traceparent,
          key: alertId,
          about: alertAttributes(alertId),
          streams: 0,
          topic,
          since: writtenAt,
        };
        shares.set(traceparent, share);
      }
      share.streams += streams.size;
      share.since = Math.min(share.since, writtenAt);
      last = share;
    }
  }
  return shares;
}

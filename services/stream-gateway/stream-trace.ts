import type { InboxChangedEvent } from '../events/event-types.js';
import { ATTR, SPAN } from '../lib/telemetry/names.js';
import { SpanBudget } from '../lib/telemetry/span-budget.js';
import { StatementLog } from '../lib/telemetry/statements.js';
import { failSpan, isSampled, SpanKind, spanTime, type Span, type Tracing } from '../lib/telemetry/tracing.js';
import { showLongWait } from '../lib/telemetry/wait-span.js';
import type { AlertStream } from './alert-stream.js';

/** A change that Kafka brought, and the streams that it is for. */
export interface DispatchedChange<Stream = AlertStream> {
  readonly event: InboxChangedEvent;
  readonly streams: ReadonlySet<Stream>;
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

/** A failure of a hand-out, and whose it is. */
export interface HandOutFailure {
  readonly error: Error;
  readonly concerns: (alertId: number) => boolean;
}

/** The spans of changes on their way to streams: see SpanBudget for which of them are recorded. */
export class StreamTracing {
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
    return shares.length === 0 ? undefined : new StreamTrace(this, shares);
  }
}

/** One hand-out. Its spans are made when it has ended, since only then it is known which are worth one. */
export class StreamTrace {
  readonly statements = new StatementLog();
  readonly #startedAt = spanTime();

  constructor(
    private readonly shared: StreamTracing,
    private readonly shares: readonly Share[],
  ) {}

  /** All streams have it, or will read it from PostgreSQL. */
  end(failure?: HandOutFailure): void {
    const { tracing, slowMs, budget } = this.shared;
    const endedAt = spanTime();
    const tookLong = endedAt - this.#startedAt > slowMs;
    let shown = false;
    for (const share of this.shares) {
      const error = failure?.concerns(share.alertId) === true ? failure.error : undefined;
      const slow = endedAt - share.writtenAt > slowMs;
      const exceptional = slow || error !== undefined;
      if (!budget.take(share.alertId) && !(exceptional && budget.takeExceptional(share.alertId))) continue;
      const span = this.#start(share);
      if (slow) span.setAttribute(ATTR.slow, true);
      // The first one shows what was asked for all of them.
      if (!shown || tookLong || error !== undefined) this.statements.writeBelow(tracing, span);
      shown = true;
      if (error === undefined) span.end(endedAt);
      else failSpan(span, error, endedAt);
    }
  }

  #start({ parent, alertId, streams, topic, writtenAt }: Share): Span {
    const { tracing, slowMs } = this.shared;
    const startTime = this.#startedAt;
    showLongWait(tracing, slowMs, { in: topic, parent, alertId, from: writtenAt, to: startTime });
    const waited = Math.max(0, Math.round(startTime - writtenAt));
    return tracing.start(SPAN.deliver, {
      kind: SpanKind.CONSUMER,
      parent,
      startTime,
      attributes: { [ATTR.alertId]: alertId, [ATTR.streams]: streams, [ATTR.kafkaWait]: waited },
    });
  }
}

function sharesOf(changes: readonly DispatchedChange<unknown>[]): readonly Share[] {
  const shares = new Map<string, Share>();
  let last: Share | undefined;
  for (const { event, streams, topic, writtenAt } of changes) {
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
  return [...shares.values()];
}

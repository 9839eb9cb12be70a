import { ATTR, SPAN } from './names.js';
import { type Attributes, SpanKind, type Tracing } from './tracing.js';

export interface Wait {
  /** Where it lay: a topic, or a table of what is to be done. */
  readonly in: string;
  readonly parent: string | undefined;
  /** What waited. */
  readonly attributes: Attributes;
  /** Why it did, if that is known: one of few words. */
  readonly reason?: string | undefined;
  /** Milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
}

/**
 * Shows a long wait as a span of its own, before the work that it held up. An attribute would tell as much to who looks
 * at the trace; but who looks for it asks by duration, and Jaeger holds that against single spans, not against traces.
 */
export function showLongWait(tracing: Tracing, slowMs: number, wait: Wait): void {
  const { in: place, parent, attributes, reason, from, to } = wait;
  if (to - from <= slowMs) return;
  tracing
    .start(SPAN.wait(place), {
      kind: SpanKind.INTERNAL,
      parent,
      startTime: from,
      attributes: {
        ...attributes,
        [ATTR.slow]: true,
        ...(reason === undefined ? {} : { [ATTR.waitReason]: reason }),
      },
    })
    .end(to);
}

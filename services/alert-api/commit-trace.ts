import type { NewAlert } from '../domain/alert.js';
import { ATTR, SPAN } from '../lib/telemetry/names.js';
import { StatementLog } from '../lib/telemetry/statements.js';
import { failSpan, isSampled, spanTime, traceparentOf, type Span, type Tracing } from '../lib/telemetry/tracing.js';

/**
 * The spans of one commit: one in the trace of each alert that is stored by it. The statement is seen below the first of
 * them, to which the others have a link; below each if it was slow or failed.
 */
export class CommitTrace {
  readonly statements = new StatementLog();
  readonly #startedAt = spanTime();

  private constructor(
    private readonly tracing: Tracing,
    private readonly slowMs: number,
    /** By the request's place in the batch. */
    private readonly spans: ReadonlyMap<number, Span>,
  ) {}

  /** @returns undefined if none of these alerts is recorded */
  static begin(tracing: Tracing, slowMs: number, requests: readonly NewAlert[]): CommitTrace | undefined {
    if (!tracing.enabled) return undefined;
    const spans = new Map<number, Span>();
    let first: string | undefined;
    for (const [index, { traceparent: parent }] of requests.entries()) {
      if (!isSampled(parent)) continue;
      const attributes = { [ATTR.batchAlerts]: requests.length };
      const span = tracing.start(SPAN.commit, {
        parent,
        attributes,
        ...(first === undefined ? {} : { links: [first] }),
      });
      first ??= traceparentOf(span);
      spans.set(index, span);
    }
    return spans.size === 0 ? undefined : new CommitTrace(tracing, slowMs, spans);
  }

  stored(index: number, alertId: number): void {
    this.spans.get(index)?.setAttribute(ATTR.alertId, alertId);
  }

  end(error?: Error): void {
    const slow = spanTime() - this.#startedAt > this.slowMs;
    let first = true;
    for (const span of this.spans.values()) {
      if (first || slow || error !== undefined) this.statements.writeBelow(this.tracing, span);
      first = false;
      if (slow) span.setAttribute(ATTR.slow, true);
      if (error === undefined) span.end();
      else failSpan(span, error);
    }
  }
}

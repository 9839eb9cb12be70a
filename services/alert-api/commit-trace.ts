import type { NewAlert } from '../domain/alert.js';
import { ALERT_ATTR } from '../domain/alert-attributes.js';
import { BatchTrace, type BatchTracing, type Share } from '../lib/telemetry/batch-trace.js';
import { ATTR, SPAN } from '../lib/telemetry/names.js';
import { isSampled, type Span, traceparentOf, type Tracing } from '../lib/telemetry/tracing.js';

/**
 * The spans of one commit: one in the trace of each alert that is stored by it. The statement is seen below the first
 * of them, to which the others have a link; below each if it was slow or failed.
 */
export class CommitTrace extends BatchTrace<Share, number> {
  #first: string | undefined;

  /** @param shares by the request's place in the batch */
  private constructor(shared: BatchTracing, shares: Map<number, Share>) {
    super(shared, shares);
    for (const share of this.ordinary()) this.begin(share);
  }

  /** @returns undefined if none of these alerts is recorded */
  static begin(tracing: Tracing, slowMs: number, requests: readonly NewAlert[]): CommitTrace | undefined {
    if (!tracing.enabled) return undefined;
    const shares = new Map<number, Share>();
    const about = { [ATTR.batchAlerts]: requests.length };
    for (const [key, { traceparent: parent }] of requests.entries())
      if (isSampled(parent)) shares.set(key, { parent, key, about });
    return shares.size === 0 ? undefined : new CommitTrace({ tracing, slowMs }, shares);
  }

  protected open({ parent, about }: Share): Span {
    const links = this.#first === undefined ? {} : { links: [this.#first] };
    const span = this.shared.tracing.start(SPAN.commit, { parent, attributes: about, ...links });
    this.#first ??= traceparentOf(span);
    return span;
  }

  stored(index: number, alertId: number): void {
    this.shares.get(index)?.span?.setAttribute(ALERT_ATTR.id, alertId);
  }

  end(error?: Error): void {
    this.endAll(() => error);
  }
}

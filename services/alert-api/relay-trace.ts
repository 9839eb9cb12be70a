import { alertAttributes } from '../domain/alert-attributes.js';
import type { CreatedAlert } from '../events/records.js';
import { attemptAttributes, FailureCounts } from '../lib/telemetry/attempts.js';
import { BatchTrace, type BatchTracing, type Outcome, type Share } from '../lib/telemetry/batch-trace.js';
import { startSend } from '../lib/telemetry/kafka-spans.js';
import { ATTR } from '../lib/telemetry/names.js';
import { isSampled, type Span, traceparentOf, type Tracing } from '../lib/telemetry/tracing.js';

interface RelayShare extends Share {
  readonly createdAt: number;
}

/** What the spans of several publications have in common. */
export class RelayTracing implements BatchTracing {
  readonly failures = new FailureCounts();

  constructor(
    readonly tracing: Tracing,
    /** From here on a wait in the outbox is called long. */
    readonly slowMs: number,
  ) {}

  /** @param swept whether they were left over, so that an earlier attempt may be seen in their traces */
  begin(topic: string, alerts: readonly CreatedAlert[], swept: boolean): RelayTrace {
    return new RelayTrace(this, topic, this.tracing.enabled ? alerts : [], swept);
  }
}

/** One publication: a span in the trace of each alert. */
export class RelayTrace extends BatchTrace<RelayShare, number> {
  constructor(
    shared: RelayTracing,
    private readonly topic: string,
    alerts: readonly CreatedAlert[],
    private readonly swept: boolean,
  ) {
    super(shared, new Map());
    for (const { alert, traceparent: parent } of alerts) {
      const { alertId: key, createdAt } = alert;
      if (isSampled(parent)) this.shares.set(key, { parent, key, about: alertAttributes(key), createdAt });
    }
    if (this.shares.size > 0) for (const share of this.ordinary()) this.begin(share);
  }

  protected open({ parent, about }: RelayShare, attempt: number): Span {
    return startSend(this.shared.tracing, this.topic, {
      parent,
      startTime: this.startedAt,
      attributes: {
        ...about,
        ...attemptAttributes(attempt),
        ...(this.swept ? { [ATTR.swept]: true } : {}),
      },
    });
  }

  /** What the alert's event is a child of. */
  traceparentFor({ alert, traceparent }: CreatedAlert): string | undefined {
    return traceparentOf(this.shares.get(alert.alertId)?.span) ?? traceparent;
  }

  /** @param failures of those alerts that were not published */
  end(failures: ReadonlyMap<number, Error>): void {
    this.endAll(({ key }) => failures.get(key));
  }

  protected override close(share: RelayShare, outcome: Outcome): void {
    const published = outcome.error === undefined;
    if (published && this.swept) this.showWait(share, 'outbox', share.createdAt);
    super.close(share, { ...outcome, slow: outcome.slow && published });
  }
}

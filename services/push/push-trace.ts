import { ATTR, SPAN } from '../lib/telemetry/names.js';
import { SpanBudget } from '../lib/telemetry/span-budget.js';
import { failSpan, isSampled, SpanKind, spanTime, type Span, type Tracing } from '../lib/telemetry/tracing.js';
import type { PushJob } from './push-jobs.js';

export interface PushTracingOptions {
  readonly tracing: Tracing;
  /** Where FCM is. */
  readonly host: string;
  /** From here on a call of FCM is called slow. */
  readonly slowMs: number;
}

/** The spans of calls of FCM: see SpanBudget for which of an alert's are recorded. */
export class PushTracing {
  readonly #budget = new SpanBudget();

  constructor(private readonly options: PushTracingOptions) {}

  /** @returns undefined if the alert is not recorded */
  begin(job: PushJob): PushTrace | undefined {
    const parent = job.claims[0]!.alert?.traceparent;
    if (!this.options.tracing.enabled || !isSampled(parent)) return undefined;
    return new PushTrace(this.options, this.#budget, job, parent);
  }
}

/** One call of FCM. Its span is made when it has ended, since only then it is known whether it is worth one. */
export class PushTrace {
  readonly #startedAt = spanTime();

  constructor(
    private readonly options: PushTracingOptions,
    private readonly budget: SpanBudget,
    private readonly job: PushJob,
    private readonly parent: string,
  ) {}

  end(error?: Error): void {
    const { alertId } = this.job.claims[0]!;
    const endedAt = spanTime();
    const slow = endedAt - this.#startedAt > this.options.slowMs;
    const exceptional = slow || error !== undefined;
    if (!this.budget.take(alertId) && !(exceptional && this.budget.takeExceptional(alertId))) return;
    const span = this.#start();
    if (slow) span.setAttribute(ATTR.slow, true);
    if (error === undefined) span.end(endedAt);
    else failSpan(span, error, endedAt);
  }

  #start(): Span {
    const { tracing, host } = this.options;
    const { alertId, attempts, now, alert } = this.job.claims[0]!;
    return tracing.start(this.job.dismiss ? SPAN.dismiss : SPAN.push, {
      kind: SpanKind.CLIENT,
      parent: this.parent,
      startTime: this.#startedAt,
      attributes: {
        [ATTR.alertId]: alertId,
        [ATTR.serverAddress]: host,
        [ATTR.pushAttempt]: attempts,
        [ATTR.alertAge]: Math.round(now - alert!.createdAt),
      },
    });
  }
}

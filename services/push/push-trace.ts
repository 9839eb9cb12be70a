import { ALERT_ATTR } from '../domain/alert-attributes.js';
import type { IncomingRecord } from '../lib/kafka/consumer.js';
import { redrivesOf } from '../lib/kafka/dead-letters.js';
import { recordTraceparent } from '../lib/kafka/record-traceparent.js';
import { isRecordedAttempt, unrecordedBefore } from '../lib/telemetry/attempts.js';
import { startProcess } from '../lib/telemetry/kafka-spans.js';
import { ATTR, SPAN } from '../lib/telemetry/names.js';
import { SpanBudget } from '../lib/telemetry/span-budget.js';
import { endSpan, isSampled, type Span, SpanKind, spanTime, type Tracing } from '../lib/telemetry/tracing.js';
import { showLongWait } from '../lib/telemetry/wait-span.js';
import type { ClaimedPush } from '../store/pushes.js';
import type { Backpressure } from './backpressure.js';
import type { PushJob } from './push-jobs.js';

export interface PushTracingOptions {
  readonly tracing: Tracing;
  /** Where FCM is. */
  readonly host: string;
  /** From here on a call of FCM is called slow, and a push late. */
  readonly slowMs: number;
  readonly backpressure: Backpressure;
}

/** The spans of calls of FCM, and of long waits for them: see SpanBudget for which of an alert's are recorded. */
export class PushTracing {
  readonly budget = new SpanBudget();

  constructor(readonly options: PushTracingOptions) {}

  /** @returns undefined if the alert is not recorded */
  begin(job: PushJob): PushTrace | undefined {
    const parent = this.#parentOf(job.claims[0]!);
    return parent === undefined ? undefined : new PushTrace(this, job, parent);
  }

  /** It has become too old: that it waited is all that there is to tell. */
  expired(claim: ClaimedPush): void {
    const parent = this.#parentOf(claim);
    if (parent === undefined || !this.isLate(claim, claim.now) || !this.budget.takeExceptional(claim.alertId)) return;
    this.showWait(claim, parent, claim.now);
  }

  #parentOf({ alert }: ClaimedPush): string | undefined {
    const parent = alert?.traceparent;
    return this.options.tracing.enabled && isSampled(parent) ? parent : undefined;
  }

  isLate({ plannedFor, dismiss }: ClaimedPush, at: number): boolean {
    return !dismiss && plannedFor !== null && at - plannedFor > this.options.slowMs;
  }

  showWait({ alertId, plannedFor, lastError }: ClaimedPush, parent: string, to: number): void {
    const { tracing, slowMs, backpressure } = this.options;
    const from = plannedFor!;
    // Of an error only its code: what follows may say more than a trace is to know.
    const reason = lastError?.split(': ', 1)[0] ?? backpressure.since(from);
    const attributes = { [ALERT_ATTR.id]: alertId };
    showLongWait(tracing, slowMs, { in: 'push', parent, attributes, reason, from, to });
  }
}

/** One call of FCM. Its span is made when it has ended, since only then it is known whether it is worth one. */
export class PushTrace {
  readonly #startedAt = spanTime();

  constructor(
    private readonly shared: PushTracing,
    private readonly job: PushJob,
    private readonly parent: string,
  ) {}

  end(error?: Error): void {
    const { options, budget } = this.shared;
    const claim = this.job.claims[0]!;
    const { alertId, attempts } = claim;
    if (error !== undefined && !isRecordedAttempt(attempts)) return;
    const endedAt = spanTime();
    const slow = endedAt - this.#startedAt > options.slowMs;
    // Told when the wait is over: of each try that fails it would be a longer one.
    const late = error === undefined && this.shared.isLate(claim, this.#startedAt);
    const exceptional = slow || late || error !== undefined;
    if (!budget.grants(alertId, exceptional)) return;
    if (late) this.shared.showWait(claim, this.parent, this.#startedAt);
    endSpan(this.#start(), { error, slow, endedAt });
  }

  #start(): Span {
    const { tracing, host } = this.shared.options;
    const { alertId, attempts, now, alert } = this.job.claims[0]!;
    const unrecorded = unrecordedBefore(attempts);
    return tracing.start(this.job.dismiss ? SPAN.dismiss : SPAN.push, {
      kind: SpanKind.CLIENT,
      parent: this.parent,
      startTime: this.#startedAt,
      attributes: {
        [ALERT_ATTR.id]: alertId,
        [ATTR.serverAddress]: host,
        [ATTR.pushAttempt]: attempts,
        [ALERT_ATTR.age]: Math.round(now - alert!.createdAt),
        ...(unrecorded > 0 ? { [ATTR.unrecorded]: unrecorded } : {}),
      },
    });
  }
}

/** That pushes which had been given up are tried anew, in the trace of their alert: a dead letter is about one. */
export function showRedrive(
  tracing: Tracing,
  record: IncomingRecord,
  [alertId]: readonly number[],
  startTime: number,
): void {
  const parent = recordTraceparent(record);
  if (!tracing.enabled || !isSampled(parent)) return;
  startProcess(tracing, record.topic, {
    parent,
    startTime,
    attributes: {
      [ATTR.redrives]: redrivesOf(record),
      ...(alertId === undefined ? {} : { [ALERT_ATTR.id]: alertId }),
    },
  }).end();
}

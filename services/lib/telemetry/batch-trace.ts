import { type FailureCounts, isRecordedAttempt } from './attempts.js';
import type { SpanBudget } from './span-budget.js';
import { StatementLog } from './statements.js';
import { type Attributes, endSpan, type Span, spanTime, type Tracing } from './tracing.js';
import { showLongWait } from './wait-span.js';

/** What a batch holds of one trace. */
export interface Share {
  /** The traceparent that its span is a child of. */
  readonly parent: string;
  /** What its spans and failures are counted by. */
  readonly key: number;
  /** What its spans say of it. */
  readonly about: Attributes;
  /** From here on it counts as slow, in milliseconds since 1970; absent: from when the batch began. */
  since?: number;
  span?: Span;
}

/** What the traces of several batches have in common. */
export interface BatchTracing {
  readonly tracing: Tracing;
  readonly slowMs: number;
  /** Absent: each share has a span. */
  readonly budget?: SpanBudget;
  /** Absent: nothing is tried again. */
  readonly failures?: FailureCounts;
}

/** How a share ended. */
export interface Outcome {
  readonly error: Error | undefined;
  /** Which attempt it was. */
  readonly attempt: number;
  readonly slow: boolean;
  readonly endedAt: number;
}

/**
 * The spans of work that is done for several traces at once: one for each share, in its own trace, from the beginning
 * on (`ordinary`) or at the end, if SpanBudget or FailureCounts find it worth one.
 */
export abstract class BatchTrace<S extends Share, Name = string> {
  #statements: StatementLog | undefined;

  constructor(
    protected readonly shared: BatchTracing,
    protected readonly shares: Map<Name, S>,
    protected readonly startedAt = spanTime(),
  ) {}

  /** Starts the span of a share. */
  protected abstract open(share: S, attempt: number): Span;

  /** To be told of the statements that are run for all shares. */
  get statements(): StatementLog {
    return (this.#statements ??= new StatementLog());
  }

  /** Those that have a span whatever becomes of them. */
  protected ordinary(): S[] {
    const { budget } = this.shared;
    return [...this.shares.values()].filter(
      (share) => isRecordedAttempt(this.#attemptAt(share)) && budget?.take(share.key) !== false,
    );
  }

  protected begin(share: S): void {
    share.span = this.open(share, this.#attemptAt(share));
  }

  #attemptAt({ key }: S): number {
    return this.shared.failures?.attemptAt(key) ?? 1;
  }

  /** @param errorOf why a share is not done */
  protected endAll(errorOf: (share: S) => Error | undefined): void {
    if (this.shares.size === 0) return;
    const { tracing, slowMs, budget, failures } = this.shared;
    const endedAt = spanTime();
    const tookLong = endedAt - this.startedAt > slowMs;
    let isFirst = true;
    for (const share of this.shares.values()) {
      const error = errorOf(share);
      const attempt = this.#attemptAt(share);
      const slow = endedAt - Math.min(share.since ?? Infinity, this.startedAt) > slowMs;
      const isExceptional = slow || error !== undefined || attempt > 1;
      // That it succeeded at last is told in any case.
      const isTold = error === undefined || isRecordedAttempt(attempt);
      if (share.span === undefined && isTold && budget?.grants(share.key, isExceptional) !== false) this.begin(share);
      failures?.note(share.key, error !== undefined);
      if (share.span === undefined) continue;
      if (this.showsStatements(share, isFirst, tookLong || error !== undefined))
        this.#statements?.writeBelow(tracing, share.span);
      isFirst = false;
      this.close(share, { error, attempt, slow, endedAt });
    }
  }

  /** Shows where a share waited until the batch began, if that was long. */
  protected showWait({ parent, about, since }: S, place: string, from = since ?? this.startedAt): void {
    const { tracing, slowMs } = this.shared;
    showLongWait(tracing, slowMs, { in: place, parent, attributes: about, from, to: this.startedAt });
  }

  /** The first one shows what was asked for all of them; the others do if it took long or failed. */
  protected showsStatements(_share: S, isFirst: boolean, isExceptional: boolean): boolean {
    return isFirst || isExceptional;
  }

  protected close({ span }: S, outcome: Outcome): void {
    endSpan(span!, outcome);
  }
}

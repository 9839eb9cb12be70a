import type { StatementObserver } from '../postgres.js';
import { sqlState, UNIQUE_VIOLATION } from '../postgres-errors.js';
import { ATTR } from './names.js';
import { traceparentOf } from './traceparent.js';
import { failSpan, type Span, SpanKind, type Tracing } from './tracing.js';

interface Statement {
  readonly summary: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly error: Error | undefined;
}

/** Statements of one piece of work that are kept; a transaction has some ten. */
const STATEMENTS_MAX = 50;

/**
 * Notes the statements of a piece of work, and makes spans of them afterwards: when it is known whose traces they
 * belong to. A note costs nothing to speak of; a span costs as much as the handling of a record.
 */
export class StatementLog implements StatementObserver {
  readonly #statements: Statement[] = [];

  ended(summary: string, startedAt: number, endedAt: number, error?: Error): void {
    if (this.#statements.length < STATEMENTS_MAX) this.#statements.push({ summary, startedAt, endedAt, error });
  }

  /** Makes a span of each statement, below this one. */
  writeBelow(tracing: Tracing, parent: Span): void {
    const traceparent = traceparentOf(parent);
    for (const statement of this.#statements) writeStatement(tracing, traceparent, statement);
  }
}

/** Makes a span of each statement at once, below the span of a call. */
export class StatementSpans implements StatementObserver {
  constructor(
    private readonly tracing: Tracing,
    private readonly traceparent: string | undefined,
  ) {}

  ended(summary: string, startedAt: number, endedAt: number, error?: Error): void {
    writeStatement(this.tracing, this.traceparent, { summary, startedAt, endedAt, error });
  }
}

function writeStatement(tracing: Tracing, parent: string | undefined, statement: Statement): void {
  const { summary, startedAt, endedAt, error } = statement;
  const span = tracing.start(summary, {
    kind: SpanKind.CLIENT,
    parent,
    startTime: startedAt,
    attributes: { [ATTR.dbSystem]: 'postgresql', [ATTR.dbSummary]: summary },
  });
  if (error === undefined) return span.end(endedAt);
  const state = sqlState(error);
  if (state !== undefined) span.setAttribute(ATTR.dbStatus, state);
  // An answer, which our statements wait for: it is there already. As an error it would make each repeated batch one to
  // be kept.
  if (state === UNIQUE_VIOLATION) return span.end(endedAt);
  failSpan(span, error, endedAt);
}

import { TOO_MANY_BINDINGS } from './postgres-errors.js';

/** Bindings of one statement: the protocol counts them with 16 bits, and takes what is beyond for fewer. */
const BINDINGS_MAX = 65_535;

export interface Statement {
  readonly name?: string;
  readonly text: string;
  readonly values?: unknown[];
}

/** Told of statements that have ended; times are milliseconds since 1970, with fractions. */
export interface StatementObserver {
  ended(summary: string, startedAt: number, endedAt: number, error?: Error): void;
}

/** @throws TOO_MANY_BINDINGS */
export function requireFewBindings({ values = [] }: Statement): void {
  if (values.length > BINDINGS_MAX)
    throw Object.assign(new Error(`a statement with ${values.length} bindings; there may be ${BINDINGS_MAX}`), {
      code: TOO_MANY_BINDINGS,
    });
}

/** Runs a statement, and tells the observer of it. */
export async function observe<T>(
  observer: StatementObserver | undefined,
  statement: string | Statement,
  run: () => Promise<T>,
): Promise<T> {
  if (observer === undefined) return run();
  const startedAt = now();
  const summary = summaryOf(typeof statement === 'string' ? { text: statement } : statement);
  try {
    const result = await run();
    observer.ended(summary, startedAt, now());
    return result;
  } catch (error) {
    observer.ended(summary, startedAt, now(), error as Error);
    throw error;
  }
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

/** What a statement is called: its name, or what it does to which table. Never anything of its values. */
function summaryOf({ name, text }: Statement): string {
  if (name !== undefined) return name;
  const [verb = ''] = /\w+/.exec(text) ?? [];
  const table = /\b(?:INTO|UPDATE|FROM)\s+([a-z_]+)/.exec(text)?.[1];
  return table === undefined ? verb.toUpperCase() : `${verb.toUpperCase()} ${table}`;
}

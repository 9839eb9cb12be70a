import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { manyLines } from '../domain/text.js';
import type { Environment } from '../lib/config/load.js';
import { withoutSecrets } from '../lib/secrets.js';

/** A terminal has a size, which changes with the event 'resize'. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };

/** What a command knows of the world; tests bring their own. */
export interface Context {
  readonly environment: Environment;
  readonly stdin: Readable;
  /** Results. */
  readonly stdout: Output;
  /** Messages and progress. */
  readonly stderr: Output;
  /** Aborts at the first Ctrl-C. Who asks for it has to end the command then; who does not ask is killed. */
  readonly interrupted: () => AbortSignal;
}

/** Exit codes. */
export const OK = 0;
export const FAILED = 1;
export const USAGE = 2;
/** EX_TEMPFAIL of sysexits.h: the service, or what it needs, is away or busy; the same again may succeed. */
export const TRY_AGAIN = 75;
/** 128 + SIGINT, as shells have it. */
export const INTERRUPTED = 130;

/** The command line asks for something that does not exist or does not go together. */
export class UsageError extends Error {}

/** A line of the result. Waits for a reader that is slower than we are. */
export async function print({ stdout }: Context, line: string): Promise<void> {
  if (!stdout.write(`${line}\n`)) await once(stdout, 'drain');
}

/** A message for people, which may quote what others answered: without secrets, and nothing for a terminal to obey. */
export function say({ stderr }: Context, line: string): void {
  stderr.write(`${withoutSecrets(manyLines(line))}\n`);
}

import { PassThrough, Readable } from 'node:stream';
import type { Context } from '../../../services/cli/context.js';

export interface FakeContext extends Context {
  /** What was printed so far. */
  readonly out: () => string;
  readonly err: () => string;
  /** Ctrl-C. */
  readonly interrupt: () => void;
}

/** A world for a command, with the given environment and standard input; terminals where asked for. */
export function fakeContext(
  options: { environment?: Record<string, string>; stdin?: string | Readable; terminal?: boolean } = {},
): FakeContext {
  const { environment = {}, stdin = '', terminal = false } = options;
  const controller = new AbortController();
  const [stdout, out] = recorder(terminal);
  const [stderr, err] = recorder(terminal);
  return {
    environment,
    stdin: typeof stdin === 'string' ? Readable.from([Buffer.from(stdin)]) : stdin,
    stdout,
    stderr,
    interrupted: () => controller.signal,
    interrupt: () => controller.abort(),
    out,
    err,
  };
}

function recorder(isTTY: boolean): [stream: PassThrough & { isTTY: boolean }, text: () => string] {
  const stream = Object.assign(new PassThrough(), { isTTY });
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return [stream, () => text];
}

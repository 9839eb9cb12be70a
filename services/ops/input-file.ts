import { createReadStream } from 'node:fs';
import { addAbortSignal, type Readable } from 'node:stream';
import type { Context } from './context.js';

/** A file, or standard input for `-`. It is destroyed when the signal aborts. */
export function openInput({ stdin }: Context, file: string, signal: AbortSignal): Readable {
  return addAbortSignal(signal, file === '-' ? stdin : createReadStream(file));
}

/** The message of an error of the file system. Rethrows every other. */
export function describeFileError(error: unknown, file: string): string {
  const { syscall, code } = error as NodeJS.ErrnoException;
  if (syscall === undefined || code === undefined) throw error;
  const reasons: Record<string, string> = {
    ENOENT: 'there is no such file',
    EACCES: 'we may not read it',
    EISDIR: 'it is a folder',
  };
  return `cannot read ${file === '-' ? 'standard input' : `'${file}'`}: ${reasons[code] ?? code}`;
}

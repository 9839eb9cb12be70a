import { withinMs } from '../../client/within-ms.js';

export interface Line {
  /** Counted from 1. */
  readonly number: number;
  /** Undefined where the line cannot be read; `problem` says why. */
  readonly text?: string;
  readonly problem?: string;
  /** Its length, without the line break. */
  readonly bytes: number;
}

/**
 * A text and the next of its lines, with the blank ones that were left out since the line `last`: problems are told by
 * lines.
 */
export function appended(text: string, last: number, { number, text: next = '' }: Line): string {
  return `${text}${'\n'.repeat(number - last)}${next}`;
}

/** gRPC takes no larger message, and an alert's JSON is hardly smaller than its protobuf. */
export const LONGEST = 1_048_576;
const LINE_FEED = 0x0a;

/** The lines of a stream, one at a time; of a line that is too long nothing is kept. Blank lines are left out. */
export async function* readLines(
  stream: AsyncIterable<Uint8Array | string>,
  longest = LONGEST,
): AsyncGenerator<Line, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let number = 1;
  let pieces: Buffer[] = [];
  let bytes = 0;
  const take = (piece: Buffer) => {
    bytes += piece.length;
    if (bytes <= longest) pieces.push(piece);
    else pieces = [];
  };
  const finish = (): Line => {
    const line = { number, bytes };
    const whole = Buffer.concat(pieces);
    pieces = [];
    number += 1;
    bytes = 0;
    if (line.bytes > longest) return { ...line, problem: `is longer than ${longest.toLocaleString('en')} bytes` };
    try {
      return { ...line, text: decoder.decode(whole) };
    } catch {
      return { ...line, problem: 'is not valid UTF-8' };
    }
  };
  const isBlank = (line: Line) => line.text !== undefined && line.text.trim() === '';

  for await (const chunk of stream) {
    let rest = Buffer.from(chunk);
    for (let end = rest.indexOf(LINE_FEED); end !== -1; end = rest.indexOf(LINE_FEED)) {
      take(rest.subarray(0, end));
      rest = rest.subarray(end + 1);
      const line = finish();
      if (!isBlank(line)) yield line;
    }
    take(rest);
  }
  if (bytes > 0) {
    const line = finish();
    if (!isBlank(line)) yield line;
  }
}

export interface ChunkLimits {
  readonly maxItems: number;
  readonly maxWeight: number;
  /** How long a group waits for more: what comes through a pipe now and then is not held back until it is full. */
  readonly flushAfterMs: number;
}

/** Groups items, in order, so that no group has more than `maxItems`, or weighs more than `maxWeight` unless alone. */
export async function* chunked<T>(
  items: AsyncIterable<T>,
  weight: (item: T) => number,
  { maxItems, maxWeight, flushAfterMs }: ChunkLimits,
): AsyncGenerator<T[], void, undefined> {
  const iterator = items[Symbol.asyncIterator]();
  const ask = () => {
    const next = iterator.next();
    // It may fail while the consumer is busy with the last group; we hear of it when we come back to it.
    next.catch(() => undefined);
    return next;
  };
  let chunk: T[] = [];
  let total = 0;
  for (let next = ask(); ;) {
    const result = chunk.length === 0 ? await next : await withinMs(next, flushAfterMs);
    if (result !== undefined && result.done !== true) {
      const more = weight(result.value);
      if (chunk.length > 0 && (chunk.length === maxItems || total + more > maxWeight)) {
        yield chunk;
        chunk = [];
        total = 0;
      }
      chunk.push(result.value);
      total += more;
      next = ask();
      continue;
    }
    if (chunk.length > 0) yield chunk;
    if (result !== undefined) return;
    chunk = [];
    total = 0;
  }
}

import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import test from 'node:test';
import { chunked, type Line, readLines } from '../../../services/cli/io/lines.js';

async function lines(chunks: Iterable<Buffer | string>, longest?: number): Promise<Line[]> {
  const stream = Readable.from(chunks, { objectMode: false });
  return gather(readLines(stream, longest));
}

async function gather<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function* each<T>(...items: T[]) {
  for (const item of items) yield await Promise.resolve(item);
}

test('lines are numbered as an editor does, and blank ones are left out', async () => {
  const text = '\ufeffone\r\n\n  \ntwo\n\nthree';
  assert.deepEqual(
    (await lines([text])).map(({ number, text }) => [number, text?.trim()]),
    [
      [1, 'one'],
      [4, 'two'],
      [6, 'three'],
    ],
  );
});

test('chunks may end anywhere, also inside of a character', async () => {
  const bytes = Buffer.from('가나\n다라\n');
  const single = Array.from(bytes, (byte) => Buffer.from([byte]));
  assert.deepEqual(
    (await lines(single)).map(({ text, bytes: length }) => [text, length]),
    [
      ['가나', 6],
      ['다라', 6],
    ],
  );
});

test('a line that is too long or no UTF-8 is named, and the next one is read', async () => {
  const read = await lines(['x'.repeat(5), 'x'.repeat(6), '\n', Buffer.from([0xff]), '\n', 'y'.repeat(10), '\nz'], 10);
  assert.deepEqual(
    read.map(({ number, text, problem }) => [number, text ?? problem]),
    [
      [1, 'is longer than 10 bytes'],
      [2, 'is not valid UTF-8'],
      [3, 'yyyyyyyyyy'],
      [4, 'z'],
    ],
  );
});

test('chunks are bounded by number and weight, and one heavy item goes alone', async () => {
  const limits = { maxItems: 3, maxWeight: 10, flushAfterMs: 60_000 };
  const weigh = (items: number[]) => gather(chunked(each(...items), (item) => item, limits));
  assert.deepEqual(await weigh([1, 1, 1, 1]), [[1, 1, 1], [1]]);
  assert.deepEqual(await weigh([4, 6, 1]), [[4, 6], [1]]);
  assert.deepEqual(await weigh([2, 99, 2]), [[2], [99], [2]]);
  assert.deepEqual(await weigh([]), []);
});

test('what came through a pipe is handed on although the pipe stays open', async (t) => {
  const pipe = new PassThrough();
  t.after(() => pipe.destroy());
  pipe.write('a\nb\n');
  const chunks = chunked(readLines(pipe), () => 1, { maxItems: 100, maxWeight: 100, flushAfterMs: 5 });
  const first = await chunks.next();
  assert.deepEqual(
    (first.value as Line[]).map(({ text }) => text),
    ['a', 'b'],
  );
  pipe.end('c');
  assert.deepEqual(
    ((await chunks.next()).value as Line[]).map(({ text }) => text),
    ['c'],
  );
  assert.equal((await chunks.next()).done, true);
});

test('a source that fails is heard of', async () => {
  async function* failing() {
    yield 1;
    await Promise.resolve();
    throw new Error('gone');
  }
  const chunks = chunked(failing(), () => 1, { maxItems: 1, maxWeight: 1, flushAfterMs: 60_000 });
  await assert.rejects(gather(chunks), /gone/);
});

import assert from 'node:assert/strict';
import test from 'node:test';
import type { IncomingRecord } from '../../../../services/lib/kafka/consumer.js';
import type { DeadLetterReason, DeadLetters } from '../../../../services/lib/kafka/dead-letters.js';
import { PoisonRecord } from '../../../../services/lib/kafka/poison-record.js';
import { PublishFailed } from '../../../../services/lib/kafka/producer.js';
import { type Handled, NotTheRecordsFault, Triage } from '../../../../services/lib/kafka/triage.js';
import { silentLogger } from '../../../../services/lib/logging.js';

const record = (offset: number): IncomingRecord => ({
  topic: 't',
  partition: 0,
  offset,
  timestamp: 0,
  key: null,
  rawKey: null,
  value: Buffer.from([offset & 255]),
  headers: [],
});
/** Of one of three keys. */
const keyed = (offset: number): IncomingRecord => ({ ...record(offset), key: `k${offset % 3}` });
const records = (count: number) => Array.from({ length: count }, (_, offset) => record(offset));
const never = new AbortController().signal;

/** A triage whose dead letters are kept, and a handler in which the given offsets fail with what `error` makes. */
function triageOf(error: (offset: number) => Error | undefined, attempts = 3) {
  const dead = new Map<number, DeadLetterReason>();
  const handled = new Map<number, number>();
  let calls = 0;
  const deadLetters = {
    send: (letter: IncomingRecord, reason: DeadLetterReason) => {
      dead.set(letter.offset, reason);
      return Promise.resolve();
    },
  } as unknown as DeadLetters;
  const triage = new Triage({ deadLetters, attempts, backoffBaseMs: 1, backoffCapMs: 1, logger: silentLogger() });
  const handle = (some: readonly IncomingRecord[]): Promise<Handled> => {
    calls += 1;
    for (const { offset } of some) {
      const reason = error(offset);
      if (reason !== undefined) return Promise.reject(reason);
    }
    for (const { offset } of some) handled.set(offset, (handled.get(offset) ?? 0) + 1);
    return Promise.resolve({ refused: [], held: [] });
  };
  return { triage, handle, dead, handled, calls: () => calls };
}

const sqlError = (code: string) => Object.assign(new Error(`SQLSTATE ${code}`), { code });

test('one record of 200 that the database refuses is found by halving; the other 199 are handled once', async () => {
  const { triage, handle, dead, handled, calls } = triageOf((offset) =>
    offset === 77 ? sqlError('22021') : undefined,
  );
  assert.deepEqual(await triage.process(records(200), handle, never), []);
  assert.deepEqual([...dead.keys()], [77]);
  assert.equal(dead.get(77)!.errorClass, 'poison');
  assert.equal(handled.size, 199);
  assert.ok([...handled.values()].every((count) => count === 1));
  assert.ok(calls() <= 20, `${calls()} calls`);
});

test('a batch with several impossible records is handled once, and they are dead letters', async () => {
  const impossible = (offset: number) => offset % 7 === 3;
  const { triage, handle, dead, handled, calls } = triageOf(() => undefined);
  const rest = await triage.process(
    records(100),
    async (some) => {
      await handle(some.filter(({ offset }) => !impossible(offset)));
      const refused = some.filter(({ offset }) => impossible(offset));
      return { refused: refused.map((record) => new PoisonRecord(record, new Error('no such alert'))), held: [] };
    },
    never,
  );
  assert.deepEqual(rest, []);
  assert.equal(calls(), 1);
  assert.deepEqual([...dead.keys()], [3, 10, 17, 24, 31, 38, 45, 52, 59, 66, 73, 80, 87, 94]);
  assert.ok([...dead.values()].every(({ errorClass, attempts }) => errorClass === 'poison' && attempts === 1));
  assert.equal(handled.size, 86);
});

test('while dead letters are taken nowhere, a batch with an impossible record comes again, all of it', async () => {
  const { handle, handled } = triageOf(() => undefined);
  const deadLetters = {
    send: () => Promise.reject(new Error('neither Kafka nor PostgreSQL')),
  } as unknown as DeadLetters;
  const triage = new Triage({ deadLetters, attempts: 3, backoffBaseMs: 1, backoffCapMs: 1, logger: silentLogger() });
  const refusing = async (some: readonly IncomingRecord[]) => {
    await handle(some);
    return { refused: [new PoisonRecord(some[0]!, new Error('no such alert'))], held: [] };
  };
  await assert.rejects(triage.process(records(3), refusing, never), NotTheRecordsFault);
  assert.ok(
    [...handled.values()].every((times) => times === 1),
    'no half of it is tried alone',
  );
});

test('what is refused holds up nothing of its key, and what waits of another key does', async () => {
  const { triage, handle, dead, handled } = triageOf(() => undefined);
  const batch = Array.from({ length: 9 }, (_, offset) => keyed(offset));
  const rest = await triage.process(
    batch,
    async (some) => {
      await handle(some.filter(({ key, offset }) => key !== 'k1' && offset !== 3));
      const refused = some
        .filter(({ offset }) => offset === 3)
        .map((record) => new PoisonRecord(record, new Error('no')));
      return { refused, held: some.filter(({ key }) => key === 'k1') };
    },
    never,
  );
  assert.deepEqual([...dead.keys()], [3]);
  assert.deepEqual([...handled.keys()], [0, 2, 5, 6, 8]);
  assert.deepEqual(
    rest.map(({ offset }) => offset),
    [1, 4, 7],
  );
});

test('what is refused is no record that waits, although its key is held', async () => {
  const { triage, handle, dead } = triageOf(() => undefined);
  const held = (some: readonly IncomingRecord[]) => some.filter(({ key }) => key === 'k1');
  const rest = await triage.process(
    Array.from({ length: 9 }, (_, offset) => keyed(offset)),
    async (some) => {
      await handle(some.filter(({ key }) => key !== 'k1'));
      const refused = some
        .filter(({ offset }) => offset === 4)
        .map((record) => new PoisonRecord(record, new Error('no')));
      return { refused, held: held(some) };
    },
    never,
  );
  assert.deepEqual([...dead.keys()], [4]);
  assert.deepEqual(
    rest.map(({ offset }) => offset),
    [1, 7],
    'it would be a dead letter again with each trial',
  );
});

test('an outage makes no dead letter and is not divided', async () => {
  for (const error of [
    sqlError('57P01'),
    sqlError('53100'),
    Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }),
    new PublishFailed('no broker'),
  ]) {
    const { triage, handle, dead, calls } = triageOf(() => error);
    await assert.rejects(triage.process(records(200), handle, never), NotTheRecordsFault);
    assert.equal(dead.size, 0);
    assert.equal(calls(), 1);
  }
});

test('a deadlock is tried again, as a whole', async () => {
  let failures = 2;
  const { triage, handle, handled, calls } = triageOf(() => (failures-- > 0 ? sqlError('40P01') : undefined));
  assert.deepEqual(await triage.process(records(10), handle, never), []);
  assert.equal(handled.size, 10);
  assert.equal(calls(), 3);
});

test('a record that waits for a lock or times out is never given up, however often, and others go on', async () => {
  for (const state of ['57014', '55P03', '40P01', 'EPOOLFULL']) {
    const { triage, handle, dead, handled } = triageOf((offset) => (offset === 5 ? sqlError(state) : undefined));
    for (let pass = 0; pass < 20; pass += 1) {
      const rest = await triage.process([record(5), record(6), record(7 + pass)], handle, never);
      assert.deepEqual(
        rest.map(({ offset }) => offset),
        [5],
      );
      assert.ok(handled.has(7 + pass));
    }
    assert.equal(dead.size, 0, state);
  }
});

test('a record that fails alone in an unknown way, again and again, while others succeed, is given up in the end', async () => {
  const { triage, handle, dead } = triageOf((offset) => (offset === 5 ? new Error('a bug') : undefined));
  let suspects = await triage.process(records(8), handle, never);
  let passes = 1;
  for (; suspects.length > 0; passes += 1) {
    assert.deepEqual(
      suspects.map(({ offset }) => offset),
      [5],
    );
    assert.equal(dead.size, 0);
    suspects = await triage.process([record(5), record(6), record(7)], handle, never);
  }
  assert.equal(dead.get(5)!.errorClass, 'exhausted');
  assert.equal(dead.get(5)!.attempts, 4);
  assert.equal(passes, 4);
});

test('alone in the world it is never given up: there is nobody to compare it with', async () => {
  const { triage, handle, dead } = triageOf(() => new Error('something unknown'));
  for (let pass = 0; pass < 50; pass += 1) {
    const suspects = await triage.process([record(1)], handle, never).catch(() => [record(1)]);
    assert.equal(suspects.length, 1);
  }
  assert.equal(dead.size, 0);
});

test('a database in which everything times out gives up nothing', async () => {
  const { triage, handle, dead, calls } = triageOf(() => sqlError('57014'));
  for (let pass = 0; pass < 20; pass += 1) {
    await assert.rejects(triage.process(records(1000), handle, never), NotTheRecordsFault);
  }
  assert.equal(dead.size, 0);
  assert.ok(calls() < 20 * 40, `${calls()} calls`);
});

test('bad neighbours do not pass for an outage', async () => {
  const { triage, handle, dead, handled } = triageOf((offset) => (offset < 6 ? new Error('a bug') : undefined), 1);
  let rest = records(200);
  for (let pass = 0; pass < 1000 && rest.length > 0; pass += 1) {
    // The control may be a bad neighbour itself: then all is tried once more.
    rest = await triage.process([...rest, record(300 + pass), record(1500 + pass)], handle, never).catch(() => rest);
  }
  assert.deepEqual([...dead.keys()].sort(), [0, 1, 2, 3, 4, 5]);
  for (let offset = 6; offset < 200; offset += 1) assert.ok(handled.has(offset), `${offset} was not handled`);
});

test('what follows a suspect of the same key is not handled before it, whatever fails and however it is divided', async () => {
  for (let culprit = 0; culprit < 12; culprit += 1) {
    for (const others of [[], [3], [1, 8]]) {
      const bad = new Set([culprit, ...others]);
      const { triage, handle, handled, dead } = triageOf((offset) =>
        bad.has(offset) ? new Error('a bug') : undefined,
      );
      const batch = Array.from({ length: 12 }, (_, offset) => keyed(offset));
      const rest = await triage.process(batch, handle, never).catch(() => batch);
      for (const { offset } of batch) {
        const first = [...bad].filter((each) => each % 3 === offset % 3).sort((a, b) => a - b)[0] ?? Infinity;
        assert.equal(handled.has(offset), offset < first, `${offset} of ${[...bad].join()}`);
        if (offset >= first) assert.ok(rest.some((each) => each.offset === offset));
      }
      assert.equal(dead.size, 0);
    }
  }
});

test('the record that tells bad neighbours from an outage overtakes none of its key', async () => {
  // Three keys fail; of the fourth nobody but its first record may be asked.
  const batch = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((offset) => ({
    ...record(offset),
    key: offset < 3 ? `bad${offset}` : 'good',
  }));
  for (let pass = 0; pass < 50; pass += 1) {
    const order: number[] = [];
    const { triage, handle } = triageOf((offset) => (offset < 3 ? new Error('a bug') : undefined), 1);
    await triage.process(
      batch,
      async (some) => {
        const busy = await handle(some);
        order.push(...some.map(({ offset }) => offset));
        return busy;
      },
      never,
    );
    const seen = new Set<number>();
    for (const offset of order) {
      for (let before = 3; before < offset; before += 1) assert.ok(seen.has(before), `${offset} came before ${before}`);
      seen.add(offset);
    }
  }
});

test('what somebody holds waits with what follows of its key, and is no suspect', async () => {
  const { triage, handle, handled } = triageOf(() => undefined);
  const batch = Array.from({ length: 9 }, (_, offset) => keyed(offset));
  const rest = await triage.process(
    batch,
    async (some) => {
      await handle(some.filter(({ key }) => key !== 'k1'));
      return { refused: [], held: some.filter(({ key }) => key === 'k1') };
    },
    never,
  );
  assert.deepEqual(
    rest.map(({ offset }) => offset),
    [1, 4, 7],
  );
  assert.equal(handled.size, 6);
  assert.equal(triage.suspects, 0);
});

import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { BatchLoop } from '../../../../services/lib/kafka/batch-loop.js';
import type { Consumer, IncomingRecord, PartitionOffset } from '../../../../services/lib/kafka/consumer.js';
import type { DeadLetters } from '../../../../services/lib/kafka/dead-letters.js';
import { SET_ASIDE_MAX, SetAside, SPAN_MAX } from '../../../../services/lib/kafka/set-aside.js';
import { Triage } from '../../../../services/lib/kafka/triage.js';
import { silentLogger } from '../../../../services/lib/logging.js';
import { wait } from '../../../../services/lib/retry.js';
import { untilTrue } from '../../../support/until-true.js';

const record = (offset: number, key: string, partition = 0): IncomingRecord => ({
  topic: 't',
  partition,
  offset,
  timestamp: 0,
  key,
  rawKey: Buffer.from(key),
  value: Buffer.from([1]),
  headers: [],
});

/**
 * A loop over records that the test brings; `held` are keys that somebody holds, `bad` offsets that fail in an unknown
 * way.
 */
function startLoop(t: TestContext) {
  const incoming: IncomingRecord[][] = [];
  const committed = new Map<number, number>();
  const parked: PartitionOffset[] = [];
  const consumer = {
    generation: 1,
    poll: async () => {
      if (incoming.length === 0) await wait(2);
      return incoming.shift() ?? [];
    },
    commit: (positions: readonly PartitionOffset[]) => {
      for (const { partition, offset } of positions) {
        assert.ok(offset >= (committed.get(partition) ?? 0), 'a position never goes back');
        committed.set(partition, offset);
      }
    },
    park: (position: PartitionOffset) => void parked.push(position),
    idle: (ms: number, signal: AbortSignal) => wait(ms, signal),
    interrupt: () => undefined,
  };
  const held = new Set<string>();
  const bad = new Set<number>();
  const handled: number[] = [];
  const patient: string[] = [];
  const dead: number[] = [];
  const deadLetters = {
    send: ({ offset }: IncomingRecord) => {
      dead.push(offset);
      return Promise.resolve();
    },
  } as unknown as DeadLetters;
  const options = { attempts: 2, backoffBaseMs: 1, backoffCapMs: 1, logger: silentLogger() };
  const triage = new Triage({ deadLetters, ...options });
  const loop = new BatchLoop({
    batchMax: 100,
    attemptTimeoutMs: 5000,
    onProcessed: () => false,
    logEachBatch: false,
    logger: silentLogger(),
    handle: async (records, isPatient) => {
      await wait(1);
      if (isPatient) patient.push(records[0]!.key!);
      if (records.some(({ offset }) => bad.has(offset))) throw new Error('a bug');
      handled.push(...records.filter(({ key }) => !held.has(key!)).map(({ offset }) => offset));
      return { refused: [], held: records.filter(({ key }) => held.has(key!)) };
    },
  });
  const controller = new AbortController();
  const running = loop.run(consumer as unknown as Consumer, triage, controller.signal);
  t.after(async () => {
    controller.abort();
    await running;
  });
  return { incoming, committed, parked, consumer, held, bad, handled, patient, dead, triage, loop };
}

test('a key that somebody holds waits with what follows of it; the others of its partition go on, and nothing is committed past it', async (t) => {
  const { incoming, committed, held, handled, patient, triage } = startLoop(t);
  held.add('a');
  incoming.push([record(0, 'b'), record(1, 'a'), record(2, 'b')], [record(3, 'a'), record(4, 'b'), record(0, 'c', 1)]);
  await untilTrue(() => handled.length === 4, { what: 'the others' });
  assert.deepEqual(handled.toSorted(), [0, 0, 2, 4]);
  await untilTrue(() => patient.includes('a'), { what: 'waiting in line' });
  assert.deepEqual(
    [...committed],
    [
      [0, 1],
      [1, 1],
    ],
  );
  assert.equal(triage.setAside.size, 2);
  incoming.push([record(5, 'a'), record(6, 'b')]);
  held.delete('a');
  await untilTrue(() => committed.get(0) === 7, { what: 'the commit of all' });
  assert.deepEqual(
    handled.filter((offset) => [1, 3, 5].includes(offset)),
    [1, 3, 5],
  );
  assert.equal(triage.setAside.size, 0);
});

test('what follows a suspect of the same key waits until it is handled or given up; others go on, and nothing is lost', async (t) => {
  const { incoming, committed, bad, handled, dead } = startLoop(t);
  bad.add(1);
  incoming.push([record(0, 'b'), record(1, 'a'), record(2, 'a'), record(3, 'b')]);
  let next = 4;
  await untilTrue(
    () => {
      if (dead.length === 0) assert.ok(!handled.includes(2), 'nothing of the key was handled before');
      // Others succeed: that is the evidence against it.
      incoming.push([record(next, 'b')]);
      next += 1;
      return handled.includes(2);
    },
    { what: 'the end of the suspect' },
  );
  assert.deepEqual(dead, [1]);
  await untilTrue(() => committed.get(0) === next, { what: 'the commit of all' });
});

test('what waits is forgotten when the partitions are given up', async (t) => {
  const { incoming, committed, held, handled, triage, consumer, loop } = startLoop(t);
  held.add('a');
  incoming.push([record(0, 'a'), record(1, 'b')]);
  await untilTrue(() => triage.setAside.size === 1, { what: 'it waits' });
  await loop.settled();
  consumer.generation = 2;
  held.delete('a');
  await untilTrue(() => triage.setAside.size === 0, { what: 'it is forgotten' });
  await wait(50);
  assert.deepEqual(handled, [1]);
  assert.deepEqual([...committed], [[0, 0]]);
});

test('so many records wait and no more: the partition that brings another one is refused from there on, others are not', () => {
  const setAside = new SetAside(() => false);
  const first = record(0, 'a');
  setAside.add([first], [first]);
  const more = Array.from({ length: SET_ASIDE_MAX + 5 }, (_, index) => record(index + 1, 'a'));
  const { taken, now, refused } = setAside.admit([...more, record(SET_ASIDE_MAX + 6, 'b'), record(7, 'c', 1)]);
  assert.equal(taken.length, SET_ASIDE_MAX);
  assert.deepEqual(now, [record(7, 'c', 1)]);
  assert.deepEqual(refused, [record(SET_ASIDE_MAX, 'a')]);
  assert.equal(setAside.size, SET_ASIDE_MAX);
});

test('a partition does not run further ahead of what waits in it than can be done again', () => {
  const setAside = new SetAside(() => false);
  const first = record(5, 'a');
  setAside.add([first], [first]);
  const { now, refused } = setAside.admit([
    record(SPAN_MAX + 4, 'b'),
    record(SPAN_MAX + 5, 'b'),
    record(SPAN_MAX, 'c', 1),
  ]);
  assert.deepEqual(now, [record(SPAN_MAX + 4, 'b'), record(SPAN_MAX, 'c', 1)]);
  assert.deepEqual(refused, [record(SPAN_MAX + 5, 'b')]);
});

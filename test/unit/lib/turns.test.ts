import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import test from 'node:test';
import { EventLoopTurns, Turns } from '../../../services/lib/turns.js';

const NEVER = new AbortController().signal;

/** Work on one key, each piece of which lasts until it is finished by name. */
function workOn(turns: Turns) {
  const begun: string[] = [];
  const finish = new Map<string, () => void>();
  const run = (name: string, caller = 'one', signal = NEVER, cost = 1) => {
    const work = () => {
      begun.push(name);
      return new Promise<void>((resolve) => finish.set(name, resolve));
    };
    return turns.run('key', caller, signal, work, cost);
  };
  return {
    begun,
    run,
    async finish(name: string) {
      finish.get(name)!();
      await new Promise(setImmediate);
    },
  };
}

test('so many of a key run at once, the others in order; one whose signal aborts leaves', async () => {
  const turns = new Turns(2);
  const gone = new AbortController();
  const { begun, run, finish } = workOn(turns);
  const [a, b, c, d] = [run('a'), run('b'), run('c', 'one', gone.signal), run('d')];
  await turns.run('another', 'one', NEVER, () => Promise.resolve());
  assert.deepEqual(begun, ['a', 'b']);
  gone.abort(new Error('gone'));
  await assert.rejects(c, /gone/);
  await finish('b');
  assert.deepEqual(begun, ['a', 'b', 'd']);
  for (const name of ['a', 'd']) await finish(name);
  await Promise.all([a, b, d]);
});

test('what has had its turn leaves nothing on its signal, and what has none waits', async () => {
  const turns = new Turns(1);
  const { signal } = new AbortController();
  const { run, finish } = workOn(turns);
  const all = [run('a', 'one', signal), run('b', 'one', signal)];
  const last = turns.run('key', 'one', undefined, () => Promise.resolve('last'));
  assert.equal(getEventListeners(signal, 'abort').length, 1);
  await new Promise(setImmediate);
  for (const name of ['a', 'b']) await finish(name);
  await Promise.all(all);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
  assert.equal(await last, 'last');
});

test('nobody waits while there is a reason not to: who waits fails with it, and who comes unless a turn is free', async () => {
  let refusal: Error | undefined;
  const turns = new Turns(1, () => refusal);
  const { signal } = new AbortController();
  const { begun, run, finish } = workOn(turns);
  const [at, ...waiting] = [run('a'), run('b', 'one', signal), run('c', 'another')];
  refusal = new Error('the other side is away');
  turns.refuseWaiting(refusal);
  for (const one of [...waiting, run('d')]) await assert.rejects(one, refusal);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
  await turns.run('another', 'one', NEVER, () => Promise.resolve());
  refusal = undefined;
  const after = run('e');
  for (const name of ['a', 'e']) await finish(name);
  await Promise.all([at, after]);
  assert.deepEqual(begun, ['a', 'e']);
});

test('of one key the callers are served in turn: who has one waiting waits for one of the others', async () => {
  const { begun, run, finish } = workOn(new Turns(1));
  const all = ['a1', 'a2', 'a3', 'a4'].map((name) => run(name, 'a'));
  all.push(run('b1', 'b'));
  await new Promise(setImmediate);
  for (const name of ['a1', 'a2', 'b1', 'a3', 'a4']) await finish(name);
  await Promise.all(all);
  assert.deepEqual(begun, ['a1', 'a2', 'b1', 'a3', 'a4']);
});

test('what costs more takes more of what may run at once, and leaves as much', async () => {
  const { begun, run, finish } = workOn(new Turns(10));
  const all = [
    run('a', 'one', NEVER, 6),
    run('b', 'one', NEVER, 100),
    run('c'),
    run('d', 'one', NEVER, 9),
    run('e'),
    run('f'),
  ];
  await new Promise(setImmediate);
  assert.deepEqual(begun, ['a', 'b']);
  await finish('a');
  assert.deepEqual(begun, ['a', 'b']);
  await finish('b');
  assert.deepEqual(begun, ['a', 'b', 'c', 'd']);
  await finish('c');
  assert.deepEqual(begun, ['a', 'b', 'c', 'd', 'e']);
  await finish('d');
  assert.deepEqual(begun, ['a', 'b', 'c', 'd', 'e', 'f']);
  for (const name of ['e', 'f']) await finish(name);
  await Promise.all(all);
});

test('long computations: who has one waits for one of a caller that has hundreds; one whose signal aborts leaves', async () => {
  const turns = new EventLoopTurns();
  const gone = new AbortController();
  const done: string[] = [];
  const compute = (name: string, signal = NEVER) => turns.run(name, signal, () => void done.push(name));
  const all = Array.from({ length: 300 }, () => compute('many'));
  const left = compute('left', gone.signal);
  gone.abort(new Error('gone'));
  await assert.rejects(left, /gone/);
  const failing = turns.run('one', NEVER, () => {
    done.push('one');
    throw new Error('no such kind');
  });
  await assert.rejects(failing, /no such kind/);
  assert.ok(done.indexOf('one') <= 2, `${done.indexOf('one')} came before it`);
  await Promise.all(all);
  assert.equal(done.length, 301);
});

/** Keeps the event loop busy. @returns for how long, in milliseconds */
function busyFor(ms: number): number {
  const started = performance.now();
  while (performance.now() - started < ms);
  return performance.now() - started;
}

test('short computations cost no timer each; what they took altogether is paused for', async (t) => {
  const turns = new EventLoopTurns();
  const timers = t.mock.method(globalThis, 'setTimeout');
  const started = performance.now();
  let worked = 0;
  let paused = 0;
  const all = Array.from({ length: 100 }, () =>
    turns.run('one', NEVER, () => {
      paused = performance.now() - started - worked;
      worked += busyFor(0.3);
    }),
  );
  await Promise.all(all);
  assert.ok(timers.mock.callCount() < 80, `${timers.mock.callCount()} timers`);
  assert.ok(paused > worked - 2, `${worked} ms of work, ${paused} ms of pauses`);
});

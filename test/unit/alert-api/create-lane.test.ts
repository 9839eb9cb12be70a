import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { CreateLane, type Waiting } from '../../../services/alert-api/create-lane.js';
import { newAlert } from '../../support/alerts.js';
import { untilTrue } from '../../support/until-true.js';

/** A lane of two writers, of which each takes one request and works until it is released. */
function laneOf(isModest: () => boolean) {
  const working: (() => void)[] = [];
  const lane = new CreateLane({
    writersMax: 2,
    batchMax: 1,
    isModest,
    accept: () => true,
    work: () => new Promise<void>((resolve) => working.push(resolve)),
    failed: (_, error) => assert.fail(error),
  });
  const add = async () => {
    lane.add({ request: newAlert(), cost: 1, signal: undefined } as Waiting);
    await turn();
    await turn();
  };
  return { working, add, finish: () => working.shift()!() };
}

test('two write at once; one while it is to be modest, and the second one comes back afterwards', async () => {
  let modest = false;
  const { working, add, finish } = laneOf(() => modest);
  for (let count = 0; count < 5; count += 1) await add();
  assert.equal(working.length, 2);
  modest = true;
  finish();
  await turn();
  assert.equal(working.length, 1);
  finish();
  await untilTrue(() => working.length === 1, { what: 'the only writer has taken the third' });
  await add();
  assert.equal(working.length, 1);
  modest = false;
  await add();
  assert.equal(working.length, 2);
  for (let count = 0; count < 5; count += 1) {
    finish();
    await turn();
  }
  assert.equal(working.length, 0);
});

test('who is modest pauses for as long as the work took, so that others have half of the time', async () => {
  const { working, add, finish } = laneOf(() => true);
  await add();
  await add();
  const started = performance.now();
  await untilTrue(() => performance.now() - started > 50, { what: 'it has worked for 50 ms' });
  const worked = performance.now();
  finish();
  await untilTrue(() => working.length === 1, { what: 'the next is at work' });
  // A timer may be a millisecond early.
  assert.ok(performance.now() - worked > worked - started - 2, `${performance.now() - worked} ms of pause`);
  finish();
});

test('a batch ends with what passes its cost, and is a quarter as large while the lane is modest', async () => {
  let modest = false;
  const sizes: number[] = [];
  const lane = new CreateLane({
    writersMax: 1,
    batchMax: 500,
    isModest: () => modest,
    accept: () => true,
    work: (batch) => {
      sizes.push(batch.length);
      return Promise.resolve();
    },
    failed: (_, error) => assert.fail(error),
  });
  const add = () => lane.add({ request: newAlert(), cost: 1000, signal: undefined } as Waiting);
  for (let count = 0; count < 100; count += 1) add();
  await untilTrue(() => sizes.length > 0, { what: 'a batch is written' });
  modest = true;
  for (let count = 0; count < 50; count += 1) add();
  await untilTrue(() => sizes.length === 3, { what: 'the others are written' });
  assert.deepEqual(sizes, [100, 25, 25]);
});

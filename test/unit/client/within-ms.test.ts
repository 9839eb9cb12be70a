import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { withinMs } from '../../../services/client/within-ms.js';

test('what arrived while the process was busy with itself is in time', async () => {
  // From here on timers come before what has arrived.
  await turn();
  const arrived = withinMs(turn('in time'), 5);
  for (const until = performance.now() + 50; performance.now() < until;);
  assert.equal(await arrived, 'in time');
});

test('what takes too long is given up', async () => {
  assert.equal(await withinMs(new Promise(() => undefined), 5), undefined);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { amount, count, seed, toggle, variables } from '../../labs/frame/flags.js';
import { chosenParts } from '../../labs/frame/parts.js';

test('a name stands for the part of just that name, or else for all parts that begin so, in their own order', () => {
  const parts = ['off', 'kill push', 'kill fanout', 'off-again'];
  assert.deepEqual(chosenParts(parts, []), parts);
  assert.deepEqual(chosenParts(parts, ['off']), ['off']);
  assert.deepEqual(chosenParts(parts, ['off-again', 'kill']), ['kill push', 'kill fanout', 'off-again']);
  assert.throws(() => chosenParts(parts, ['freeze']), /there is no part freeze/);
  assert.throws(() => chosenParts(parts, ['']), /there is no part/);
});

test('a flag has its usual value without a text, and refuses what means nothing, by its name', () => {
  assert.equal(count(5, '').read(undefined, 'rounds'), 5);
  assert.equal(count(5, '').read(['1', '2'], 'rounds'), 2);
  for (const text of ['0', '1.5', 'x', ''])
    assert.throws(() => count(5, '').read([text], 'rounds'), /--rounds is a whole/);
  assert.equal(amount('').read(undefined, 'minutes'), undefined);
  assert.equal(amount('').read(['0.5'], 'minutes'), 0.5);
  assert.throws(() => amount('').read(['-1'], 'minutes'), /--minutes is a number from 0 on/);
  assert.equal(seed.read(['7'], 'seed'), 7);
  assert.ok(Number.isSafeInteger(seed.read(undefined, 'seed')));
  assert.equal(toggle('').read(undefined, 'control'), false);
  assert.equal(toggle('').read(true, 'control'), true);
  assert.deepEqual(variables('').read(['A=1', 'B=2=3'], 'set'), { A: '1', B: '2=3' });
  assert.throws(() => variables('').read(['A'], 'set'), /--set is NAME=VALUE, not A/);
});

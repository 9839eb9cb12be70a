import assert from 'node:assert/strict';
import test from 'node:test';
import { Violations } from '../../../services/api/violations.js';
import { AlertError } from '../../../services/domain/errors.js';

test('of very many violations the first hundred are named, and how many there are besides', () => {
  const violations = new Violations();
  for (let index = 0; index < 10_000; index += 1) violations.name(`users[${index}].user_id`, '', 128, true);
  try {
    violations.throwIfAny();
    assert.fail('nothing was thrown');
  } catch (error) {
    assert.ok(error instanceof AlertError);
    assert.equal(error.violations.length, 101);
    assert.deepEqual(error.violations.at(-2)!.field, 'users[99].user_id');
    assert.deepEqual(error.violations.at(-1), { field: '', description: 'and 9900 more' });
  }
});

test('characters are code points, in a text of people and in a name', () => {
  const violations = new Violations();
  violations.text('locale', '\u{1F600}'.repeat(35), 35);
  violations.name('department', '\u{1F600}'.repeat(128), 128);
  violations.throwIfAny();
  violations.text('locale', '\u{1F600}'.repeat(36), 35);
  assert.throws(() => violations.throwIfAny(), /^AlertError: locale must have at most 35 characters, not 36$/);
});

test('a choice that is missing and one that nobody knows are told with all that there are', () => {
  const violations = new Violations();
  assert.equal(violations.choice('kind', 'KIND_B', ['A', 'B'], 'KIND'), 'B');
  violations.throwIfAny();
  for (const given of ['KIND_UNSPECIFIED', 'KIND_C', 7]) violations.choice('kind', given, ['A', 'B'], 'KIND');
  assert.throws(
    () => violations.throwIfAny(),
    /kind is required: one of KIND_A, KIND_B; kind must not be KIND_C: one of KIND_A, KIND_B; kind must not be 7: one of/,
  );
});

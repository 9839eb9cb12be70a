import assert from 'node:assert/strict';
import test from 'node:test';
import { AlertError } from '../../../services/domain/errors.js';
import { Violations } from '../../../services/api/violations.js';

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

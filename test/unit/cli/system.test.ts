import assert from 'node:assert/strict';
import test from 'node:test';
import { problemsOf } from '../../../services/cli/views/system.js';
import { roleState } from './fake-roles.js';

const breaker = (name: string, state: number) => `ssom_breaker_state{name="${name}"} ${state}`;

test('a breaker that is half open keeps nobody from work, unless it is that of pushes that wait', () => {
  const problems = (name: string, state: number) => problemsOf('push', [roleState('push', [breaker(name, state)])]);
  assert.deepEqual(problems('schema registry', 1), []);
  assert.match(problems('schema registry', 2).join(), /schema registry is open: calls fail at once/);
  assert.match(problems('fcm', 1).join(), /fcm is half open: one call tries/);
});

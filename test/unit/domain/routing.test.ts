import assert from 'node:assert/strict';
import test from 'node:test';
import { Directory, matches, type RoutingRule } from '../../../services/domain/routing.js';

const rule = (department: string, match: RoutingRule['match'], appPattern = ''): RoutingRule => ({
  department,
  match,
  appPattern,
});
/** The guide's rules. */
const RULES = [
  rule('OPERATION', 'ALL'),
  rule('EXTERNAL', 'ALL'),
  rule('CORE_BANK', 'APP_CONTAINS', 'ssok-bank'),
  rule('CHANNEL', 'APP_NOT_CONTAINS', 'ssok-bank'),
];
const USERS = [
  { userId: 'op1', department: 'OPERATION' },
  { userId: 'op2', department: 'OPERATION' },
  { userId: 'core1', department: 'CORE_BANK' },
  { userId: 'chan1', department: 'CHANNEL' },
  { userId: 'ext1', department: 'EXTERNAL' },
];
const recipients = (appName: string, rules: readonly RoutingRule[] = RULES) =>
  [...new Directory(1, USERS, rules).recipientsOf({ appName, named: undefined })].sort();

test('upper and lower case are equal, on both sides', () => {
  assert.ok(matches(rule('X', 'APP_CONTAINS', 'ssok-bank'), 'SSOK-Bank-API'));
  assert.ok(matches(rule('X', 'APP_CONTAINS', 'SSOK-BANK'), 'my-ssok-bank'));
  assert.ok(!matches(rule('X', 'APP_NOT_CONTAINS', 'SSOK-BANK'), 'my-ssok-bank'));
  assert.ok(matches(rule('X', 'APP_NOT_CONTAINS', 'ssok-bank'), 'ssok-gateway'));
  assert.ok(!matches(rule('X', 'APP_CONTAINS', 'ssok-bank'), 'ssok_bank'));
});

test("the guide's rules: the core bank's apps and all others", () => {
  assert.deepEqual(recipients('ssok-bank-api'), ['core1', 'ext1', 'op1', 'op2']);
  assert.deepEqual(recipients('ssok-gateway'), ['chan1', 'ext1', 'op1', 'op2']);
});

test('whom several rules match receives once; no rule, nobody', () => {
  const twice = [rule('OPERATION', 'ALL'), rule('OPERATION', 'APP_CONTAINS', 'bank'), rule('OPERATION', 'ALL')];
  assert.deepEqual(recipients('ssok-bank', twice), ['op1', 'op2']);
  assert.deepEqual(recipients('ssok-bank', []), []);
  assert.deepEqual(recipients('ssok-bank', [rule('NOBODY', 'ALL')]), []);
});

test('named users and departments are united, each user once, rules aside', () => {
  const directory = new Directory(1, USERS, RULES);
  const named = (userIds: string[], departments: string[]) =>
    [...directory.recipientsOf({ appName: 'ssok-bank', named: { userIds, departments } })].sort();
  assert.deepEqual(named(['chan1'], []), ['chan1']);
  assert.deepEqual(named(['op1', 'chan1'], ['OPERATION']), ['chan1', 'op1', 'op2']);
  assert.deepEqual(named([], ['CORE_BANK', 'CHANNEL']), ['chan1', 'core1']);
});

test('unions are kept by their departments, not mixed up', () => {
  const directory = new Directory(1, USERS, []);
  const of = (departments: string[]) =>
    [...directory.recipientsOf({ appName: '', named: { userIds: [], departments } })].sort();
  for (let round = 0; round < 2; round += 1) {
    assert.deepEqual(of(['OPERATION', 'CHANNEL']), ['chan1', 'op1', 'op2']);
    assert.deepEqual(of(['CHANNEL']), ['chan1']);
    assert.deepEqual(of(['CHANNEL', 'OPERATION', 'CHANNEL']), ['chan1', 'op1', 'op2']);
  }
});

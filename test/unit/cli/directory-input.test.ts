import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { parseDirectory } from '../../../services/cli/io/directory-input.js';
import { ROOT } from '../../../services/lib/root.js';

function problems(file: unknown) {
  const input = parseDirectory(typeof file === 'string' ? file : JSON.stringify(file));
  assert.ok('problems' in input, JSON.stringify(input));
  return input.problems;
}

test('the sample directory is read whole', () => {
  const input = parseDirectory(readFileSync(join(ROOT, 'deploy/sample/directory.json'), 'utf8'));
  assert.ok('directory' in input);
  const { users, rules } = input.directory;
  assert.equal(users.length, 40);
  assert.deepEqual(
    users.filter(({ active }) => !active).map(({ userId }) => userId),
    ['core12', 'chan11'],
  );
  assert.deepEqual(rules, [
    { department: 'OPERATION', match: 'ROUTING_MATCH_ALL', appPattern: '' },
    { department: 'EXTERNAL', match: 'ROUTING_MATCH_ALL', appPattern: '' },
    { department: 'CORE_BANK', match: 'ROUTING_MATCH_APP_CONTAINS', appPattern: 'ssok-bank' },
    { department: 'CHANNEL', match: 'ROUTING_MATCH_APP_NOT_CONTAINS', appPattern: 'ssok-bank' },
  ]);
});

test('a file without rules leaves them alone, and an empty list removes them', () => {
  const users = [{ user_id: 'u', department: 'D', active: true }];
  const without = parseDirectory(JSON.stringify({ users }));
  assert.ok('directory' in without);
  assert.deepEqual(without.directory, {
    users: [{ userId: 'u', department: 'D', displayName: '', githubLogin: '', active: true }],
    rules: undefined,
  });
  const none = parseDirectory('{"routing_rules": []}');
  assert.ok('directory' in none);
  assert.deepEqual(none.directory, { users: [], rules: [] });
});

test('every problem is named by its path', () => {
  const good = { userId: 'u', department: 'D', active: true };
  assert.deepEqual(
    problems({
      users: [good, { userId: '', department: 5 }, 7, { ...good, team: 'x' }],
      routingRules: [{ department: 'D' }, { department: 'D', match: 'SOME' }, null],
    }).map((problem) => problem.replace(/; there are .*/, '')),
    [
      'users[1].active must be true or false, not absent',
      'users[1].userId must be a string of at least one character, not empty',
      'users[1].department must be a string of at least one character, not a number',
      'users[2] must be an object, not a number',
      'users[3].team is not a field',
      'routingRules[0].match must be one of ALL, APP_CONTAINS, APP_NOT_CONTAINS, not null',
      'routingRules[1].match must be one of ALL, APP_CONTAINS, APP_NOT_CONTAINS, not "SOME"',
      'routingRules[2] must be an object, not null',
      "users[3].userId 'u' is that of users[0] too",
    ],
  );
  assert.deepEqual(problems('{}'), ['the file has neither users nor routingRules']);
  assert.deepEqual(problems('[]'), ['the file must hold a JSON object, not an array']);
  assert.match(problems('{')[0]!, /^the file is not JSON: /);
});

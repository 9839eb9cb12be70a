import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { ROOT } from '../../../services/lib/root.js';
import { parseAlertLine } from '../../../services/ops/alert-input.js';

function request(line: object) {
  const input = parseAlertLine(JSON.stringify(line));
  assert.ok('request' in input, JSON.stringify(input));
  return input.request;
}

function problems(line: unknown) {
  const input = parseAlertLine(typeof line === 'string' ? line : JSON.stringify(line));
  assert.ok('problems' in input, JSON.stringify(input));
  return input.problems;
}

test('a line may use camelCase or snake_case, and short or full names in any case', () => {
  const expected = {
    requestId: 'r',
    kind: 'ALERT_KIND_GRAFANA',
    level: 'ALERT_LEVEL_ERROR',
    appName: 'a',
    title: 't',
    sourceId: 's',
    labels: { k: 'v' },
    recipients: { userIds: ['u'], departments: ['D'], githubLogins: ['l'] },
  };
  assert.deepEqual(request({ ...expected, kind: 'GRAFANA', level: 'error' }), expected);
  assert.deepEqual(
    request({
      request_id: 'r',
      kind: 'alert_kind_grafana',
      level: 'ALERT_LEVEL_ERROR',
      app_name: 'a',
      title: 't',
      source_id: 's',
      labels: { k: 'v' },
      recipients: { user_ids: ['u'], departments: ['D'], github_logins: ['l'] },
    }),
    expected,
  );
});

test('null is as good as absent', () => {
  assert.deepEqual(request({ title: 't', message: null, recipients: null, occurredAt: null }), { title: 't' });
});

test('a time keeps its offset and its nanoseconds', () => {
  assert.deepEqual(request({ occurredAt: '2026-01-31T09:30:00+09:00' }).occurredAt, {
    seconds: Date.UTC(2026, 0, 31, 0, 30) / 1000,
    nanos: 0,
  });
  assert.deepEqual(request({ occurredAt: '1969-12-31T23:59:59.123456789Z' }).occurredAt, {
    seconds: -1,
    nanos: 123_456_789,
  });
  for (const occurredAt of ['2026-01-31', '2026-02-30T00:00:00Z', '2026-01-01T25:00:00Z', 'soon', 5]) {
    assert.match(problems({ occurredAt })[0]!, /^occurredAt must be a time such as 2026-/);
  }
  assert.deepEqual(problems({ occurredAt: '2026-01-31T09:30:00' }), [
    'occurredAt has no time zone: 2026-01-31T09:30:00Z is UTC, 2026-01-31T09:30:00+09:00 is Seoul',
  ]);
});

test('half of a character: refused in what is compared, and left to the client in what people read', () => {
  const half = 'same\ud83d';
  const recipients = { userIds: ['a', half, ''] };
  const taken = request({ title: half, message: half, labels: { a: half }, recipients });
  assert.deepEqual([taken.title, taken.recipients], [half, recipients]);
  const found = problems({ requestId: half, labels: { [half]: 'v' } });
  assert.deepEqual(
    found.map((problem) => problem.split(' ')[0]),
    ['requestId', 'labels["same\\ud83d"]'],
  );
});

test('what is not an alert is named by what it is', () => {
  assert.match(problems('{"title":')[0]!, /^is not JSON: /);
  assert.deepEqual(problems('[]'), ["must be a JSON object, not an array (jq -c '.[]' makes one of each)"]);
  assert.deepEqual(problems('null'), ['must be a JSON object, not null']);
  assert.deepEqual(problems('"x"'), ['must be a JSON object, not a string']);
});

test('every problem of a line is named by its path', () => {
  assert.deepEqual(
    problems({
      titel: 't',
      title: 5,
      kind: 'GRAFFANA',
      level: 2,
      appName: 'a',
      app_name: 'b',
      labels: { 'a b': 1 },
      recipients: { userIds: ['u', null], teams: [], departments: 'D' },
    }).map((problem) => problem.replace(/; there are .*/, '')),
    [
      'titel is not a field',
      'appName is given twice',
      'title must be a string, not a number',
      'kind must be one of OPENSEARCH, GRAFANA, ISSUE, JENKINS, ARGOCD, DEPLOYMENT, OTHER, not "GRAFFANA"',
      'level must be one of INFO, WARNING, ERROR, CRITICAL, not 2',
      'labels["a b"] must be a string, not a number',
      'recipients.teams is not a field',
      'recipients.userIds[1] must be a string, not null',
      'recipients.departments must be an array, not a string',
    ],
  );
});

test('every line of the sample file is an alert', () => {
  const lines = readFileSync(join(ROOT, 'deploy/sample/alerts.jsonl'), 'utf8').trim().split('\n');
  assert.equal(lines.length, 300);
  for (const line of lines) assert.ok('request' in parseAlertLine(line), line);
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { parseAlertLine } from '../../../services/cli/io/alert-input.js';
import { Problems } from '../../../services/cli/io/fields.js';
import { ROOT } from '../../../services/lib/root.js';

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
      labels: { 'a b': null, big: 12345678901234567890, list: [] },
      recipients: { userIds: ['u', null], teams: [], departments: 'D' },
    }).map((problem) => problem.replace(/; there are .*/, '')),
    [
      'titel is not a field',
      'appName is given twice',
      'title must be a string, not a number',
      'kind must be one of OPENSEARCH, GRAFANA, ISSUE, JENKINS, ARGOCD, DEPLOYMENT, OTHER, not "GRAFFANA"',
      'level must be one of INFO, WARNING, ERROR, CRITICAL, not 2',
      'labels["a b"] must be a string, a number of at most 15 digits, true or false, not null',
      'labels["big"] must be a string, a number of at most 15 digits, true or false, not 12345678901234567000',
      'labels["list"] must be a string, a number of at most 15 digits, true or false, not an array',
      'recipients.teams is not a field',
      'recipients.userIds[1] must be a string, not null',
      'recipients.departments must be an array, not a string',
    ],
  );
});

test('numbers, true and false are labels by their text', () => {
  assert.deepEqual(request({ labels: { n: 5, f: -0.25, b: true, s: 'x' } }).labels, {
    n: '5',
    f: '-0.25',
    b: 'true',
    s: 'x',
  });
});

test('unknown fields are one problem, and what there is instead is told once a file', () => {
  const listed = new Set<string>();
  const said = (line: object) => {
    const input = parseAlertLine(JSON.stringify(line), 1, new Problems(listed));
    return 'problems' in input ? input.problems : [];
  };
  assert.deepEqual(said({ colour: 1, size: 2, title: 't', recipients: { teams: [] } }), [
    'colour, size are not fields; there are requestId, kind, appName, level, title, message, occurredAt, sourceId, labels, recipients',
    'recipients.teams is not a field; there are userIds, departments, githubLogins',
  ]);
  assert.deepEqual(said({ colour: 1, recipients: { teams: [] } }), [
    'colour is not a field',
    'recipients.teams is not a field',
  ]);
  const many = Object.fromEntries(Array.from({ length: 14 }, (_, index) => [`f${index}`, 1]));
  assert.deepEqual(said(many), ['f0, f1, f2, f3, f4, f5, f6, f7, f8, f9 and 4 more are not fields']);
});

test("somebody's webhook is named as such", () => {
  const bodies: [of: string, body: object][] = [
    ['Alertmanager or Grafana', { receiver: 'r', status: 'firing', alerts: [], groupLabels: {} }],
    ['Grafana before 8', { evalMatches: [], message: 'm', ruleId: 58, ruleName: 'n', ruleUrl: 'u', state: 'alerting' }],
    ['GitHub', { action: 'closed', issue: {}, repository: {}, sender: {} }],
    ['Jenkins', { name: 'job', display_name: 'job', url: 'job/', build: {} }],
  ];
  for (const [of, body] of bodies) {
    const found = problems(body);
    assert.equal(found.length, 1, found.join());
    assert.match(found[0]!, new RegExp(`^is what a webhook of ${of} sends, and no alert; an alert has requestId, `));
  }
});

test('JSON that breaks is told by line and column, and a field twice in one object is refused', () => {
  const breaks = (text: string, line?: number) => {
    const input = parseAlertLine(text, line);
    return 'problems' in input ? input.problems[0] : undefined;
  };
  assert.equal(
    breaks('{\n  "title": "a"\n  "level": "INFO"\n}', 7),
    "is not JSON: line 9, column 3: Expected ',' or '}' after property value",
  );
  assert.equal(breaks('{"title": "a"'), "is not JSON: line 1, column 14: Expected ',' or '}' after property value");
  assert.equal(breaks('{"title":\n'), 'is not JSON: line 1, column 10: it ends too early');
  assert.equal(breaks('{"title": "a", "title": "b"}'), 'has "title" twice in one object');
  assert.equal(breaks('{"labels": {"a": "1", "\\u0061" : "2"}}'), 'has "a" twice in one object');
  const twins = { title: '"title": {', message: 'title', labels: { title: 't', message: '}' } };
  assert.deepEqual(request(twins), twins);
});

test('every line of the sample file is an alert', () => {
  const lines = readFileSync(join(ROOT, 'deploy/sample/alerts.jsonl'), 'utf8').trim().split('\n');
  assert.equal(lines.length, 300);
  for (const line of lines) assert.ok('request' in parseAlertLine(line), line);
});

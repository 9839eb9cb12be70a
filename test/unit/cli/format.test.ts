import assert from 'node:assert/strict';
import test from 'node:test';
import { alertLines, changeLine, changesJson, clock, entryLine, timeJson } from '../../../services/cli/views/format.js';
import { describeError, describeItemError, messageOf } from '../../../services/cli/views/problems.js';
import { oneLine, type Paint, painter } from '../../../services/cli/views/text.js';
import { AlertClientError } from '../../../services/client/errors.js';
import { manyLines } from '../../../services/domain/text.js';
import type { Alert__Output } from '../../../services/gen/types.js';
import { fakeContext } from './fake-context.js';

const plain: Paint = (_style, text) => text;
const tagged: Paint = (style, text) => `<${style}>${text}</>`;
// In local time, as it is shown.
const at = { seconds: new Date(2026, 0, 31, 9, 5, 7).getTime() / 1000, nanos: 0 };

function alert(more: Partial<Alert__Output> = {}): Alert__Output {
  return {
    alertId: 17,
    kind: 'ALERT_KIND_GRAFANA',
    appName: 'ssok-bank-api',
    level: 'ALERT_LEVEL_ERROR',
    title: '5xx',
    message: '',
    occurredAt: at,
    createdAt: at,
    sourceId: '',
    labels: {},
    ...more,
  };
}

test('text from elsewhere cannot move the cursor, recolour or turn round', () => {
  assert.equal(
    oneLine('a\u001b[2Jb\r\nc\td\u0007\u009b\u202ee\u2066'),
    'a\\x1b[2Jb\\r\\nc\\td\\x07\\x9b\\u202ee\\u2066',
  );
  assert.equal(oneLine('이체 ✅ 👩‍💻'), '이체 ✅ 👩‍💻');
  assert.equal(manyLines('a\r\nb\rc\n\td\u001b[2J'), 'a\nb\\x0dc\n\td\\x1b[2J');
});

test('a new alert is one line: time, level, kind, app, title', () => {
  const change = { type: 'INBOX_CHANGE_TYPE_CREATED', sequence: 3, alert: alert(), isRead: false } as const;
  assert.equal(changeLine(change, plain), '09:05:07  ERROR     GRAFANA     ssok-bank-api  5xx  #17');
  assert.equal(changeLine(change, tagged), '09:05:07  <red>ERROR</>     GRAFANA     ssok-bank-api  5xx  <dim>#17</>');
  const nasty = { ...change, alert: alert({ title: 'x\n\u001b[1A', appName: '\u202e' }) };
  assert.equal(changeLine(nasty, plain).split('\n').length, 1);
  assert.ok(!changeLine(nasty, plain).includes('\u001b'));
});

test('what was done to an alert is dim and named', () => {
  const read = { type: 'INBOX_CHANGE_TYPE_READ', sequence: 3, alert: alert(), isRead: true } as const;
  assert.equal(changeLine(read, tagged), '<dim>09:05:07  ERROR     GRAFANA     ssok-bank-api  5xx  #17 [read]</>');
  const gone = alert({ kind: 'ALERT_KIND_UNSPECIFIED', level: 'ALERT_LEVEL_UNSPECIFIED', occurredAt: null, title: '' });
  const deleted = changeLine({ type: 'INBOX_CHANGE_TYPE_DELETED', sequence: 3, alert: gone, isRead: false }, tagged);
  assert.match(deleted, /^<dim>--:--:-- +#17 \[deleted\]<\/>$/);
});

test('token and unread count stand in the last change of a response only', () => {
  const change = { type: 'INBOX_CHANGE_TYPE_CREATED', alert: alert(), isRead: false } as const;
  const deleted = { type: 'INBOX_CHANGE_TYPE_DELETED', sequence: 5, alert: alert(), isRead: true } as const;
  const json = changesJson({
    changes: [{ ...change, sequence: 4 }, deleted],
    resumeToken: 'r5',
    unreadCount: 2,
    behind: 0,
  });
  assert.deepEqual(json[0], {
    sequence: 4,
    type: 'INBOX_CHANGE_TYPE_CREATED',
    isRead: false,
    alert: { ...alert(), occurredAt: timeJson(at), createdAt: timeJson(at) },
    resumeToken: null,
    unreadCount: null,
  });
  assert.deepEqual(json[1], {
    sequence: 5,
    type: 'INBOX_CHANGE_TYPE_DELETED',
    isRead: true,
    alert: { alertId: 17 },
    resumeToken: 'r5',
    unreadCount: 2,
  });
  assert.deepEqual(changesJson({ changes: [], resumeToken: 'r5', unreadCount: 2, behind: 0 }), []);
});

test('times are written as proto3 JSON does', () => {
  assert.equal(timeJson({ seconds: 0, nanos: 120_000_000 }), '1970-01-01T00:00:00.120Z');
  assert.equal(timeJson({ seconds: -1, nanos: 123_456_789 }), '1969-12-31T23:59:59.123456789Z');
  assert.equal(timeJson(null), null);
  assert.equal(clock(null), '--:--:--');
});

test('an inbox entry and an alert with its progress', () => {
  const entry = { alert: alert(), isRead: false, readAt: null, sequence: 9, deliveredAt: at };
  assert.equal(entryLine(entry, plain), '*     17  2026-01-31 09:05:07  ERROR     GRAFANA     ssok-bank-api  5xx');
  assert.ok(entryLine({ ...entry, isRead: true }, plain).startsWith('  '));
  const progress = {
    publishedAt: at,
    fannedOutAt: at,
    recipients: 3,
    delivered: 2,
    read: 1,
    completedAt: null,
    traceId: '',
    traceSampled: false,
    firstDeliveredAt: at,
    lastDeliveredAt: at,
    lastReadAt: at,
    firstPushSentAt: at,
    lastPushSentAt: at,
    nextCheckAt: at,
    checks: 0,
    closed: false,
    missingUserIds: ['op3'],
    deadLetters: [],
    deadLetterCount: 0,
    deadLettered: false,
    unplannedPushes: 0,
    unreached: [],
    unreachedCount: 0,
    pushCounts: [
      { state: 'PUSH_STATE_FAILED' as const, count: 1 },
      { state: 'PUSH_STATE_SENT' as const, count: 2 },
    ],
    pushes: [
      {
        userId: 'op1',
        deviceId: 5,
        state: 'PUSH_STATE_FAILED' as const,
        attempts: 3,
        sentAt: null,
        dueAt: null,
        fcmMessageName: '',
        error: 'messaging/internal-error: \u001b[1m',
      },
      {
        userId: 'op1',
        deviceId: 6,
        state: 'PUSH_STATE_SENT' as const,
        attempts: 1,
        sentAt: at,
        dueAt: null,
        fcmMessageName: 'projects/p/messages/1',
        error: '',
      },
    ],
  };
  const lines = alertLines(alert({ message: 'a\nb', labels: { k: 'v' } }), progress, plain);
  assert.equal(lines[0], 'alert 17: 5xx');
  assert.ok(lines.includes('  delivered  2 of 3, read by 1'));
  assert.ok(lines.includes('  complete   -'));
  const pushes = lines.slice(lines.indexOf('  pushes     1 failed, 2 sent') + 1);
  assert.deepEqual(pushes.slice(0, 3), [
    '    op1, device 5: failed, 3 attempts, messaging/internal-error: \\x1b[1m',
    '    op1, device 6: sent, 1 attempt, 2026-01-31 09:05:07, projects/p/messages/1',
    '    and 1 more',
  ]);
  assert.ok(lines.includes('  label      k=v'));
  assert.equal(lines.at(-1), 'a\nb');
});

test('colours are for terminals that want them', () => {
  const terminal = { terminal: true };
  assert.equal(painter(fakeContext(terminal))('red', 'x'), '\u001b[31mx\u001b[0m');
  assert.equal(painter(fakeContext())('red', 'x'), 'x');
  assert.equal(painter(fakeContext({ ...terminal, environment: { NO_COLOR: '1' } }))('red', 'x'), 'x');
  assert.equal(
    painter(fakeContext({ ...terminal, environment: { NO_COLOR: '' } }))('red', 'x'),
    '\u001b[31mx\u001b[0m',
  );
  assert.equal(painter(fakeContext({ ...terminal, environment: { TERM: 'dumb' } }))('red', 'x'), 'x');
});

test('an error is one clear line, its violations, and what to look at', () => {
  const violations = [
    { field: 'title', description: 'is required' },
    { field: 'labels["\u001b"]', description: 'is too long' },
  ];
  const invalid = new AlertClientError('INVALID_ARGUMENT', 'INVALID_FIELDS', 'title is required; …', { violations });
  assert.deepEqual(describeError(invalid, 'a:1'), [
    'INVALID_ARGUMENT (INVALID_FIELDS): the request is not valid',
    '  title is required',
    '  labels["\\x1b"] is too long',
  ]);
  const absent = describeError(new AlertClientError('UNAVAILABLE', '', 'connect ECONNREFUSED'), 'host:1');
  assert.equal(absent[0], 'UNAVAILABLE: connect ECONNREFUSED');
  assert.match(absent[1]!, /running at host:1\?.*npm start/);
  const late = describeError(new AlertClientError('DEADLINE_EXCEEDED', '', 'Deadline exceeded after 5s'), 'host:1');
  assert.equal(late[0], 'DEADLINE_EXCEEDED: Deadline exceeded after 5s');
  assert.match(late[1]!, /host:1 reachable from here, and ready\? 'npx ssom-alert top --once'/);
  // It answered, so it is there.
  const busy = new AlertClientError('UNAVAILABLE', 'DATABASE_UNAVAILABLE', 'the database does not answer');
  assert.deepEqual(describeError(busy, 'host:1'), ['UNAVAILABLE (DATABASE_UNAVAILABLE): the database does not answer']);
});

test('why an item was refused stands on one line', () => {
  const fieldViolations = [
    { field: 'title', description: 'must be\nshort' },
    { field: 'kind', description: 'is required' },
  ];
  assert.equal(
    describeItemError({ message: 'm', reason: 'INVALID_FIELDS', fieldViolations }),
    'title must be\\nshort; kind is required',
  );
  const reused = { message: 'another body', reason: 'REQUEST_ID_REUSED', fieldViolations: [] };
  assert.equal(describeItemError(reused), 'another body (REQUEST_ID_REUSED)');
});

test('an error without a message still says something', () => {
  assert.equal(messageOf(new AggregateError([new Error('connect ECONNREFUSED')])), 'connect ECONNREFUSED');
  assert.equal(messageOf({ message: '', code: 'ECONNRESET' }), 'ECONNRESET');
  for (const [thrown, text] of [
    [null, 'null'],
    [undefined, 'undefined'],
    ['text', 'text'],
  ])
    assert.equal(messageOf(thrown), text);
});

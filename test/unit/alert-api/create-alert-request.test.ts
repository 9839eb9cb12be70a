import assert from 'node:assert/strict';
import test from 'node:test';
import { readCreateAlertRequest } from '../../../services/alert-api/create-alert-request.js';
import type { NewAlert } from '../../../services/domain/alert.js';
import { AlertError } from '../../../services/domain/errors.js';
import type { CreateAlertRequest } from '../../../services/gen/types.js';
import { asReceived } from '../../support/alerts.js';

const NOW = Date.UTC(2026, 5, 15, 12);
const SECOND = 1000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;
const VALID: CreateAlertRequest = {
  kind: 'ALERT_KIND_GRAFANA',
  level: 'ALERT_LEVEL_ERROR',
  appName: 'ssok-bank-api',
  title: 'title',
};
const EMOJI = '😀';

function read(rest: CreateAlertRequest = {}): NewAlert {
  return readCreateAlertRequest(asReceived({ ...VALID, ...rest }), 'caller', undefined, NOW);
}

/** The fields that a request is refused for. */
function refused(rest: CreateAlertRequest): string[] {
  try {
    read(rest);
  } catch (error) {
    assert.ok(error instanceof AlertError);
    assert.equal(error.code, 'INVALID_ARGUMENT');
    return error.violations.map(({ field }) => field).sort();
  }
  return [];
}

const at = (ms: number) => ({ seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 });

test('a valid request is read as it is', () => {
  const alert = read({
    requestId: 'r1',
    message: 'm',
    sourceId: 's',
    labels: { b: '2', a: '1' },
    occurredAt: at(NOW - HOUR + 250),
    recipients: { userIds: ['op1', 'op1'], departments: ['CORE_BANK'], githubLogins: ['Octo-Cat', 'octo-cat'] },
  });
  const { requestHash, ...rest } = alert;
  assert.equal(requestHash.length, 32);
  assert.deepEqual(rest, {
    caller: 'caller',
    requestId: 'r1',
    kind: 'GRAFANA',
    level: 'ERROR',
    appName: 'ssok-bank-api',
    title: 'title',
    message: 'm',
    sourceId: 's',
    labels: { b: '2', a: '1' },
    occurredAt: NOW - HOUR + 250,
    recipients: { userIds: ['op1'], departments: ['CORE_BANK'], githubLogins: ['Octo-Cat'] },
    traceparent: undefined,
    adjustments: [],
  });
});

test('every violation is reported at once, by field path', () => {
  const labels = { '': 'no key', good: 'v'.repeat(16_385), ['k'.repeat(318)]: 'long key' };
  assert.deepEqual(
    refused({
      requestId: 'r'.repeat(513),
      kind: 'ALERT_KIND_UNSPECIFIED',
      level: 'ALERT_LEVEL_UNSPECIFIED',
      appName: '',
      title: '  ',
      message: 'm'.repeat(262_145),
      sourceId: 's'.repeat(16_385),
      labels,
      recipients: {},
    }),
    [
      'app_name',
      'kind',
      `labels["${'k'.repeat(317)}"]`,
      'labels[""]',
      'labels["good"]',
      'level',
      'message',
      'recipients',
      'request_id',
      'source_id',
      'title',
    ].sort(),
  );
});

test('the message of the error says what is wrong and what would be right', () => {
  assert.throws(() => read({ title: '' }), /title is required: 1 to 200 characters/);
  assert.throws(
    () => read({ title: 'x'.repeat(4097) }),
    /title must have at most 4096 characters \(200 are kept\), not 4097/,
  );
  assert.throws(() => read({ kind: 'ALERT_KIND_UNSPECIFIED' }), /kind is required: one of ALERT_KIND_OPENSEARCH, /);
});

test('limits count code points, so an emoji is one character', () => {
  const cases: [keyof CreateAlertRequest, number, string][] = [
    ['requestId', 512, 'request_id'],
    ['sourceId', 16_384, 'source_id'],
    ['appName', 4096, 'app_name'],
    ['title', 4096, 'title'],
    ['message', 262_144, 'message'],
  ];
  for (const [key, limit, field] of cases) {
    for (const character of ['a', '가', EMOJI]) {
      assert.deepEqual(refused({ [key]: character.repeat(limit) }), [], `${field}: ${limit} ${character}`);
      assert.deepEqual(refused({ [key]: character.repeat(limit + 1) }), [field], `${field}: ${limit + 1} ${character}`);
    }
  }
  assert.deepEqual(read({ labels: { [EMOJI.repeat(317)]: EMOJI.repeat(1024) } }).adjustments, []);
  assert.deepEqual(refused({ labels: { key: EMOJI.repeat(16_384) } }), []);
  assert.deepEqual(refused({ labels: { key: EMOJI.repeat(16_385) } }), ['labels["key"]']);
});

test('what is too long is shortened, with a sign, and said', () => {
  const title = 't'.repeat(201);
  const message = EMOJI.repeat(16_385);
  const alert = read({
    title,
    message,
    labels: { long: 'v'.repeat(1025), short: 'v', ['__proto__']: 'p'.repeat(1025) },
  });
  assert.equal(alert.title, `${'t'.repeat(199)}…`);
  assert.equal(alert.message, `${EMOJI.repeat(16_383)}…`);
  assert.deepEqual(Object.entries(alert.labels), [
    ['long', `${'v'.repeat(1023)}…`],
    ['short', 'v'],
    ['__proto__', `${'p'.repeat(1023)}…`],
  ]);
  const shortened = (field: string, originalLength: number) => ({
    field,
    type: 'SHORTENED',
    originalLength,
    original: '',
  });
  assert.deepEqual(alert.adjustments, [
    shortened('title', 201),
    shortened('message', 16_385),
    shortened('labels["long"]', 1025),
    shortened('labels["__proto__"]', 1025),
  ]);
});

test('a title is one line, and has something to be seen', () => {
  const alert = read({ title: 'disk full\r\n\ton\u2028db1\n' });
  assert.equal(alert.title, 'disk full on db1');
  assert.deepEqual(alert.adjustments, [{ field: 'title', type: 'CLEANED', originalLength: 19, original: '' }]);
  for (const title of ['', ' ', '\u200b\u200d\ufeff', '\u3164', '\u2800', '\u00ad\u202e', '\n\0\t', '\ufe0f'])
    assert.deepEqual(refused({ title }), ['title'], JSON.stringify(title));
  assert.deepEqual(refused({ appName: '\u200b' }), ['app_name']);
  // Both at once: it is cleaned, then shortened.
  assert.deepEqual(
    read({ title: `a\n${'b'.repeat(300)}` }).adjustments.map(({ type }) => type),
    ['CLEANED', 'SHORTENED'],
  );
});

test('labels: of more than 32 the first are kept, by key, whatever the order in which they come', () => {
  const pairs = (count: number) => Array.from({ length: count }, (_, n) => [`k${1000 + n}`, 'v'] as const);
  const labels = (count: number) => Object.fromEntries(pairs(count));
  assert.deepEqual(read({ labels: labels(32) }).adjustments, []);
  const first = read({ requestId: 'r', labels: labels(1024) });
  assert.deepEqual(first.labels, labels(32));
  assert.deepEqual(first.adjustments, [{ field: 'labels', type: 'SHORTENED', originalLength: 1024, original: '' }]);
  assert.deepEqual(read({ requestId: 'r', labels: Object.fromEntries(pairs(1024).reverse()) }), first);
  // What is left out is not looked at, and counts in the hash.
  assert.deepEqual(read({ labels: { ...labels(32), z: 'v'.repeat(20_000) } }).labels, labels(32));
  assert.notDeepEqual(read({ requestId: 'r', labels: labels(1023) }).requestHash, first.requestHash);
  assert.deepEqual(refused({ labels: labels(1025) }), ['labels']);
});

test('a source_id that is cut differs from every other, and an app_name is cut as a title is', () => {
  const sourceId = (text: string) => read({ sourceId: text }).sourceId;
  // The longest URL of a real alert that we have seen has 326 characters.
  const url = `https://github.com/${'x'.repeat(1005)}`;
  assert.equal(sourceId(url), url);
  const alert = read({ sourceId: `${url}a`, appName: 'a'.repeat(129) });
  assert.match(alert.sourceId, /^https:\/\/github\.com\/x{988}…[0-9a-f]{16}$/);
  assert.equal(alert.sourceId.length, 1024);
  assert.equal(alert.appName, `${'a'.repeat(127)}…`);
  assert.notEqual(sourceId(`${url}b`), alert.sourceId);
  assert.equal(sourceId(`${url}a`), alert.sourceId);
  assert.deepEqual(
    alert.adjustments.map(({ field, type, originalLength }) => [field, type, originalLength]),
    [
      ['app_name', 'SHORTENED', 129],
      ['source_id', 'SHORTENED', 1025],
    ],
  );
});

test('U+0000, which PostgreSQL does not take, is replaced in what people read and refused in what is compared', () => {
  const nul = 'a\0b';
  assert.deepEqual(refused({ requestId: nul }), ['request_id']);
  const { appName, sourceId, adjustments } = read({ appName: nul, sourceId: nul });
  assert.deepEqual([appName, sourceId], ['a\ufffdb', 'a\ufffdb']);
  assert.deepEqual(
    adjustments.map(({ field, type }) => [field, type]),
    [
      ['app_name', 'CLEANED'],
      ['source_id', 'CLEANED'],
    ],
  );
  assert.deepEqual(refused({ labels: { [nul]: 'v' } }).length, 1);
});

test('an id that was not well-formed is refused: two of them would be one', () => {
  const half = 'same\ufffd';
  assert.deepEqual(refused({ requestId: half }), ['request_id']);
  assert.deepEqual(refused({ title: half, message: half, labels: { a: half } }), []);
});

test('unknown enum numbers are refused', () => {
  assert.deepEqual(refused({ kind: 99 as never }), ['kind']);
  assert.deepEqual(refused({ level: 99 as never }), ['level']);
  assert.deepEqual(refused({ kind: -1 as never, level: 5 as never }), ['kind', 'level']);
});

test('occurred_at: as the source says, from 1970 to one day ahead; else now', () => {
  const kept = (ms: number) => {
    const alert = read({ occurredAt: at(ms) });
    assert.deepEqual([alert.occurredAt, alert.adjustments], [ms, []]);
  };
  for (const ms of [0, NOW - 31 * DAY, NOW + 9 * HOUR, NOW + DAY]) kept(ms);
  const replaced = (occurredAt: CreateAlertRequest['occurredAt'], original: string) => {
    const alert = read({ occurredAt: occurredAt! });
    assert.equal(alert.occurredAt, undefined);
    assert.deepEqual(alert.adjustments, [{ field: 'occurred_at', type: 'REPLACED', originalLength: 0, original }]);
  };
  replaced(at(NOW + DAY + 1), '2026-06-16T12:00:00.001Z');
  replaced({ seconds: -1, nanos: 0 }, '1969-12-31T23:59:59.000Z');
  replaced({ seconds: '9223372036854775807', nanos: 0 }, '9223372036854776000 s, 0 ns');
  replaced({ seconds: '-9223372036854775808', nanos: 0 }, '-9223372036854776000 s, 0 ns');
  replaced({ seconds: 1, nanos: -1 }, '1 s, -1 ns');
  replaced({ seconds: 1, nanos: 1_000_000_000 }, '1 s, 1000000000 ns');
  assert.equal(read().occurredAt, undefined);
});

test('recipients: at least one, at most 10,000', () => {
  const ids = (count: number) => Array.from({ length: count }, (_, n) => `u${n}`);
  assert.deepEqual(refused({ recipients: {} }), ['recipients']);
  assert.deepEqual(refused({ recipients: { userIds: ids(10_000) } }), []);
  assert.deepEqual(refused({ recipients: { userIds: ids(10_001) } }), ['recipients.user_ids']);
  assert.deepEqual(refused({ recipients: { departments: ids(10_001) } }), ['recipients.departments']);
  assert.deepEqual(refused({ recipients: { userIds: ids(6000), githubLogins: ids(4001) } }), ['recipients']);
  assert.equal(read().recipients, undefined);
});

test("what can be nobody's name is looked for all the same, as what nobody can be called", () => {
  const names = [
    'op1',
    '',
    ' ',
    'a\0b',
    'half\ufffd',
    'x'.repeat(5000),
    `${'e\u0301'.repeat(64)}\u0301`,
    EMOJI.repeat(129),
  ];
  const storable = [
    ...['op1', '', ' ', 'a\ufffdb', 'half\ufffd'],
    // 129 characters each, where a user's id has at most 128: also if the cut is within what is seen as one.
    ...[`${'x'.repeat(128)}…`, `${'e\u0301'.repeat(64)}…`, `${EMOJI.repeat(128)}…`],
  ];
  const { recipients } = read({ recipients: { userIds: names, departments: names, githubLogins: names } });
  assert.deepEqual(recipients, { userIds: storable, departments: storable, githubLogins: storable });
  const hash = (name: string) => read({ requestId: 'r', recipients: { userIds: [name] } }).requestHash.toString('hex');
  assert.notEqual(hash(`${'x'.repeat(128)}a`), hash(`${'x'.repeat(128)}b`));
});

test('the hash is of the normalised request', () => {
  const hash = (rest: CreateAlertRequest) => read({ requestId: 'r', ...rest }).requestHash.toString('hex');
  const same = (a: CreateAlertRequest, b: CreateAlertRequest) => assert.equal(hash(a), hash(b));
  const other = (a: CreateAlertRequest, b: CreateAlertRequest) => assert.notEqual(hash(a), hash(b));
  same({ labels: { a: '1', b: '2' } }, { labels: { b: '2', a: '1' } });
  same({ recipients: { userIds: ['a', 'b'] } }, { recipients: { userIds: ['b', 'a', 'b'] } });
  same({ recipients: { githubLogins: ['A', 'b'] } }, { recipients: { githubLogins: ['B', 'a'] } });
  same({ recipients: { departments: ['X', 'Y'] } }, { recipients: { departments: ['Y', 'X'] } });
  same({ requestId: 'r' }, { requestId: 'other' });
  same({}, {});
  same({ occurredAt: null }, {});
  // An absent time means "now", which is no given time, not even the same one.
  other({ occurredAt: at(NOW) }, {});
  other({ occurredAt: at(NOW) }, { occurredAt: at(NOW - 1) });
  other({ title: 'other' }, {});
  other({ message: 'other' }, {});
  other({ appName: 'other' }, {});
  other({ sourceId: 'other' }, {});
  other({ kind: 'ALERT_KIND_OTHER' }, {});
  other({ level: 'ALERT_LEVEL_INFO' }, {});
  other({ labels: { a: '1' } }, { labels: { a: '2' } });
  other({ labels: { a: 'b' } }, { labels: { b: 'a' } });
  other({ recipients: { userIds: ['a'] } }, {});
  other({ recipients: { userIds: ['a'] } }, { recipients: { departments: ['a'] } });
  other({ recipients: { userIds: ['a'] } }, { recipients: { githubLogins: ['a'] } });
  other({ title: 'ab', message: 'c' }, { title: 'a', message: 'bc' });
});

test('the hash is of the request before it is adjusted, and the one that earlier versions stored', () => {
  const hash = (rest: CreateAlertRequest, now = NOW) =>
    readCreateAlertRequest(asReceived({ ...VALID, requestId: 'r', ...rest }), 'c', undefined, now).requestHash.toString(
      'hex',
    );
  // As version 0.1.0 computed them, before anything was adjusted.
  assert.equal(hash({}), '8289c23ed330373c32cb4d3cd99ae92d20b8b87602abfdc626517ee8bffc9121');
  assert.equal(
    hash({
      title: 'a\nb\tc',
      message: 'm',
      sourceId: 's',
      labels: { b: '2', a: '1' },
      occurredAt: { seconds: NOW / 1000 - 3600, nanos: 250e6 },
      recipients: { userIds: ['op2', 'op1'], departments: ['X'], githubLogins: ['Octo-Cat', 'a'] },
    }),
    '681dc1e2d241a2f3faf0eeab5ac05ee9cce9ba90c1fdd466eda167b6d864f632',
  );
  // Two long texts that differ in what is left out are two requests; a repeat is the same one, whatever the time is.
  assert.notEqual(hash({ title: `${'t'.repeat(300)}a` }), hash({ title: `${'t'.repeat(300)}b` }));
  const ahead = { occurredAt: at(NOW + 2 * DAY) };
  assert.equal(hash(ahead), hash(ahead, NOW + 7 * DAY));
  assert.notEqual(hash({ occurredAt: { seconds: 1, nanos: -1 } }), hash({ occurredAt: { seconds: 2, nanos: -1 } }));
});

test('without a request_id there is no hash', () => {
  assert.equal(read().requestHash.length, 0);
});

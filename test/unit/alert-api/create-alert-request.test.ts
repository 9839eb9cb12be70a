import assert from 'node:assert/strict';
import test from 'node:test';
import { readCreateAlertRequest } from '../../../services/alert-api/create-alert-request.js';
import type { NewAlert } from '../../../services/domain/alert.js';
import { AlertError } from '../../../services/domain/errors.js';
import type { CreateAlertRequest } from '../../../services/lib/grpc/types/ssom/alert/v1/CreateAlertRequest.js';
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
    recipients: { userIds: ['op1'], departments: ['CORE_BANK'], githubLogins: ['octo-cat'] },
    traceparent: undefined,
  });
});

test('every violation is reported at once, by field path', () => {
  const labels = { '': 'no key', good: 'v'.repeat(257), ['k'.repeat(65)]: 'long key' };
  assert.deepEqual(
    refused({
      requestId: 'r'.repeat(129),
      kind: 'ALERT_KIND_UNSPECIFIED',
      level: 'ALERT_LEVEL_UNSPECIFIED',
      appName: '',
      title: '  ',
      message: 'm'.repeat(16_385),
      sourceId: 's'.repeat(257),
      labels,
      occurredAt: at(NOW - 31 * DAY),
      recipients: { userIds: ['op1', ''], departments: ['d'.repeat(129)], githubLogins: ['ok', ' '] },
    }),
    [
      'app_name',
      'kind',
      `labels["${'k'.repeat(64)}"]`,
      'labels[""]',
      'labels["good"]',
      'level',
      'message',
      'occurred_at',
      'recipients.departments[0]',
      'recipients.github_logins[1]',
      'recipients.user_ids[1]',
      'request_id',
      'source_id',
      'title',
    ].sort(),
  );
});

test('the message of the error says what is wrong and what would be right', () => {
  assert.throws(() => read({ title: '' }), /title is required: 1 to 200 characters/);
  assert.throws(() => read({ title: 'x'.repeat(201) }), /title must have at most 200 characters, not 201/);
  assert.throws(() => read({ kind: 'ALERT_KIND_UNSPECIFIED' }), /kind is required: one of ALERT_KIND_OPENSEARCH, /);
});

test('limits count code points, so an emoji is one character', () => {
  const cases: [keyof CreateAlertRequest, number, string][] = [
    ['requestId', 128, 'request_id'],
    ['sourceId', 256, 'source_id'],
    ['appName', 128, 'app_name'],
    ['title', 200, 'title'],
    ['message', 16_384, 'message'],
  ];
  for (const [key, limit, field] of cases) {
    for (const character of ['a', '가', EMOJI]) {
      assert.deepEqual(refused({ [key]: character.repeat(limit) }), [], `${field}: ${limit} ${character}`);
      assert.deepEqual(refused({ [key]: character.repeat(limit + 1) }), [field], `${field}: ${limit + 1} ${character}`);
    }
  }
  assert.deepEqual(refused({ labels: { [EMOJI.repeat(64)]: EMOJI.repeat(256) } }), []);
  assert.deepEqual(refused({ labels: { key: EMOJI.repeat(257) } }), ['labels["key"]']);
});

test('labels: 32 and no more', () => {
  const labels = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, 'v']));
  assert.deepEqual(refused({ labels: labels(32) }), []);
  assert.deepEqual(refused({ labels: labels(33) }), ['labels']);
});

test('U+0000 is refused wherever PostgreSQL would refuse it', () => {
  const nul = 'a\0b';
  assert.deepEqual(refused({ requestId: nul }), ['request_id']);
  assert.deepEqual(refused({ appName: nul }), ['app_name']);
  assert.deepEqual(refused({ title: nul }), ['title']);
  assert.deepEqual(refused({ message: nul }), ['message']);
  assert.deepEqual(refused({ sourceId: nul }), ['source_id']);
  assert.deepEqual(refused({ labels: { key: nul } }), ['labels["key"]']);
  assert.deepEqual(refused({ labels: { [nul]: 'v' } }).length, 1);
  assert.deepEqual(refused({ recipients: { userIds: [nul] } }), ['recipients.user_ids[0]']);
  assert.deepEqual(refused({ recipients: { departments: [nul] } }), ['recipients.departments[0]']);
  assert.deepEqual(refused({ recipients: { githubLogins: [nul] } }), ['recipients.github_logins[0]']);
});

test('unknown enum numbers are refused', () => {
  assert.deepEqual(refused({ kind: 99 as never }), ['kind']);
  assert.deepEqual(refused({ level: 99 as never }), ['level']);
  assert.deepEqual(refused({ kind: -1 as never, level: 5 as never }), ['kind', 'level']);
});

test('occurred_at: from 30 days ago to 1 hour ahead', () => {
  const field = ['occurred_at'];
  assert.deepEqual(refused({ occurredAt: at(NOW - 30 * DAY) }), []);
  assert.deepEqual(refused({ occurredAt: at(NOW - 30 * DAY - 1) }), field);
  assert.deepEqual(refused({ occurredAt: at(NOW + HOUR) }), []);
  assert.deepEqual(refused({ occurredAt: at(NOW + HOUR + 1) }), field);
  assert.deepEqual(refused({ occurredAt: { seconds: 0, nanos: 0 } }), field);
  assert.deepEqual(refused({ occurredAt: { seconds: '9223372036854775807', nanos: 0 } }), field);
  assert.deepEqual(refused({ occurredAt: { seconds: '-9223372036854775808', nanos: 0 } }), field);
  assert.deepEqual(refused({ occurredAt: { seconds: NOW / 1000, nanos: -1 } }), field);
  assert.deepEqual(refused({ occurredAt: { seconds: NOW / 1000, nanos: 1_000_000_000 } }), field);
  assert.equal(read().occurredAt, undefined);
});

test('recipients: at least one, at most 10,000', () => {
  const ids = (count: number) => Array.from({ length: count }, (_, n) => `u${n}`);
  assert.deepEqual(refused({ recipients: {} }), ['recipients']);
  assert.deepEqual(refused({ recipients: { userIds: ids(10_000) } }), []);
  assert.deepEqual(refused({ recipients: { userIds: ids(10_001) } }), ['recipients']);
  assert.deepEqual(refused({ recipients: { userIds: ids(6000), githubLogins: ids(4001) } }), ['recipients']);
  assert.equal(read().recipients, undefined);
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

test('without a request_id there is no hash', () => {
  assert.equal(read().requestHash.length, 0);
});

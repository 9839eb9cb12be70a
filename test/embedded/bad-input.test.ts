import assert from 'node:assert/strict';
import test from 'node:test';
import { ResumeTokenWriter } from '../../services/domain/resume-token.js';
import type { StreamAlertsRequest } from '../../services/gen/types.js';
import { alertRequest } from '../support/alerts.js';
import { failureOf, type Method, type TestApi } from '../support/api.js';
import { loadDirectory } from '../support/directory.js';
import { createTestDatabase } from '../support/postgres.js';
import { startStandalone } from '../support/standalone.js';
import { collectStream } from '../support/stream.js';

const BIGGEST = '9223372036854775807';
/** A page token as the service makes them, around any key. */
const pageToken = (key: unknown) => Buffer.from(JSON.stringify([key])).toString('base64url');

test('bad input', async (t) => {
  const store = await createTestDatabase(t);
  const service = await startStandalone(t, { env: { DATABASE_URL: store.url } });
  const api = service.api();
  await loadDirectory(api);
  const epoch = async () => (await store.sql<{ epoch: number }>('SELECT epoch FROM service_state'))[0]!.epoch;

  await t.test('CreateAlert: every violation at once, by field path', async () => {
    const error = await failureOf(
      api.call('CreateAlert', {
        kind: 77 as never,
        title: 'x'.repeat(4097),
        labels: { k: 'v'.repeat(16_385) },
        occurredAt: { seconds: -1, nanos: 0 },
      }),
    );
    assert.equal(error.code, 'INVALID_ARGUMENT');
    assert.deepEqual(error.fields, ['app_name', 'kind', 'labels["k"]', 'level', 'title']);
  });

  await t.test('BatchCreateAlerts: each item for itself, 1 to 500 of them', async () => {
    const { results } = await api.call('BatchCreateAlerts', {
      requests: [alertRequest(), alertRequest({ title: '' }), alertRequest({ recipients: { userIds: ['ghost'] } })],
    });
    assert.ok(results[0]!.response?.alert);
    assert.deepEqual(
      results
        .slice(1)
        .map(({ error }) => [error!.code, error!.reason, error!.fieldViolations.map(({ field }) => field)]),
      [
        [3, 'INVALID_FIELDS', ['title']],
        [3, 'INVALID_FIELDS', ['recipients.user_ids']],
      ],
    );
    for (const count of [0, 501]) {
      const requests = Array.from({ length: count }, () => alertRequest());
      assert.deepEqual((await failureOf(api.call('BatchCreateAlerts', { requests }))).fields, ['requests']);
    }
  });

  await t.test('recipients that do not exist: the first ten and how many more', async () => {
    const userIds = Array.from({ length: 13 }, (_, index) => `ghost${index}`);
    const error = await failureOf(api.call('CreateAlert', alertRequest({ recipients: { userIds } })));
    assert.equal(error.code, 'INVALID_ARGUMENT');
    assert.equal(error.details.violations.length, 11);
    assert.match(error.details.violations[10]!.description, /3 more/);
  });

  await t.test('a message above the limit: RESOURCE_EXHAUSTED, the limit in the text', async () => {
    const requests = Array.from({ length: 100 }, () => alertRequest({ message: 'x'.repeat(16_000) }));
    const error = await failureOf(api.call('BatchCreateAlerts', { requests }));
    assert.equal(error.code, 'RESOURCE_EXHAUSTED');
    assert.match(error.message, /1048576/);
  });

  await t.test('same request_id, other body: FAILED_PRECONDITION with the reason', async () => {
    await api.call('CreateAlert', alertRequest({ requestId: 'once', title: 'a' }));
    const error = await failureOf(api.call('CreateAlert', alertRequest({ requestId: 'once', title: 'b' })));
    assert.deepEqual([error.code, error.reason], ['FAILED_PRECONDITION', 'REQUEST_ID_REUSED']);
    const again = await api.call('CreateAlert', alertRequest({ requestId: 'once', title: 'a' }));
    assert.equal(again.replayed, true);
  });

  await t.test('resume tokens', async () => {
    const stream = collectStream(t, api, { user: 'op1' }, { start: 'STREAM_START_BEGINNING' });
    await stream.until(() => stream.changes.length >= 2 && stream.isLive, 'two alerts');
    await stream.cancel();
    const { resumeToken, sequence } = stream.folded;
    const refusal = async (token: string, user = 'op1') => {
      const error = await collectStream(t, api, { user }, { resumeToken: token }).untilRefused();
      return [error.code, error.reason];
    };
    assert.deepEqual(await refusal('garbage'), ['INVALID_ARGUMENT', 'RESUME_TOKEN_INVALID']);
    assert.deepEqual(await refusal(`${resumeToken}x`), ['INVALID_ARGUMENT', 'RESUME_TOKEN_INVALID']);
    assert.deepEqual(await refusal(resumeToken, 'op2'), ['PERMISSION_DENIED', 'RESUME_TOKEN_FOREIGN']);
    const writer = new ResumeTokenWriter('op1', await epoch());
    assert.deepEqual(await refusal(writer.write(sequence + 1)), ['OUT_OF_RANGE', 'RESUME_TOKEN_AHEAD']);
    assert.deepEqual(await refusal(writer.write(2 ** 53 - 1)), ['OUT_OF_RANGE', 'RESUME_TOKEN_AHEAD']);
    // Retention removes a prefix: tokens at its end still work, older ones do not.
    await store.sql("UPDATE inboxes SET pruned_seq = 1 WHERE user_id = 'op1'");
    assert.deepEqual(await refusal(writer.write(0)), ['OUT_OF_RANGE', 'RESUME_TOKEN_EXPIRED']);
    await collectStream(t, api, { user: 'op1' }, { resumeToken: writer.write(1) }).untilLive();
    await collectStream(t, api, { user: 'op1' }, { start: 'STREAM_START_BEGINNING' }).untilLive();
    // A backup was restored.
    await store.sql('UPDATE service_state SET epoch = epoch + 1');
    assert.deepEqual(await refusal(resumeToken), ['OUT_OF_RANGE', 'RESUME_TOKEN_EXPIRED']);
  });

  await t.test('other arguments of StreamAlerts', async () => {
    const refusal = async (request: StreamAlertsRequest) => {
      const error = await collectStream(t, api, { user: 'op1' }, request).untilRefused();
      return [error.code, ...error.fields];
    };
    assert.deepEqual(await refusal({ start: 9 as never }), ['INVALID_ARGUMENT', 'start']);
    assert.deepEqual(await refusal({ filter: { kinds: [9 as never], minimumLevel: 9 as never } }), [
      'INVALID_ARGUMENT',
      'filter.kinds[0]',
      'filter.minimum_level',
    ]);
    for (const checkpointInterval of [
      { seconds: 0, nanos: 0 },
      { seconds: 301, nanos: 0 },
      { seconds: -1, nanos: 0 },
      { seconds: BIGGEST, nanos: 0 },
    ])
      assert.deepEqual(await refusal({ checkpointInterval }), ['INVALID_ARGUMENT', 'checkpoint_interval']);
  });

  await t.test('pages, ids and directory entries', async () => {
    const refusal = async (call: Promise<unknown>) => {
      const { code, fields } = await failureOf(call);
      return [code, ...fields];
    };
    const invalid = (...fields: string[]) => ['INVALID_ARGUMENT', ...fields];
    const op1 = { user: 'op1' };
    for (const pageSize of [-1, 501]) {
      assert.deepEqual(await refusal(api.call('ListInbox', { pageSize }, op1)), invalid('page_size'));
      assert.deepEqual(await refusal(api.call('ListAlerts', { pageSize })), invalid('page_size'));
      assert.deepEqual(await refusal(api.call('ListUsers', { pageSize })), invalid('page_size'));
    }
    assert.deepEqual(await refusal(api.call('ListInbox', { pageToken: '???' }, op1)), invalid('page_token'));
    assert.deepEqual(await refusal(api.call('ListUsers', { pageToken: pageToken(5) })), invalid('page_token'));
    assert.deepEqual(await refusal(api.call('ListAlerts', { pageToken: pageToken('x') })), invalid('page_token'));
    assert.deepEqual(await refusal(api.call('MarkRead', { alertIds: [] }, op1)), invalid('alert_ids'));
    const many = Array.from({ length: 1001 }, (_, index) => index);
    assert.deepEqual(await refusal(api.call('DeleteFromInbox', { alertIds: many }, op1)), invalid('alert_ids'));
    assert.deepEqual(await refusal(api.call('UpsertUsers', { users: [] })), invalid('users'));
    assert.deepEqual(
      await refusal(
        api.call('UpsertUsers', {
          users: [
            { userId: '', department: 'd'.repeat(129), displayName: 'x\0', githubLogin: 'same' },
            { userId: 'b', department: 'D', githubLogin: 'SAME' },
            { userId: 'b', department: 'D' },
          ],
        }),
      ),
      invalid(
        'users[0].department',
        'users[0].display_name',
        'users[0].user_id',
        'users[1].github_login',
        'users[2].user_id',
      ),
    );
    assert.deepEqual(
      await refusal(
        api.call('SetRoutingRules', {
          rules: [
            { department: '', match: 'ROUTING_MATCH_ALL', appPattern: 'x' },
            { department: 'D', match: 'ROUTING_MATCH_UNSPECIFIED' },
            { department: 'D', match: 'ROUTING_MATCH_APP_CONTAINS' },
          ],
        }),
      ),
      invalid('rules[0].app_pattern', 'rules[0].department', 'rules[1].match', 'rules[2].app_pattern'),
    );
    const taken = await failureOf(
      api.call('UpsertUsers', { users: [{ userId: 'x', department: 'D', githubLogin: 'OP-ONE', active: true }] }),
    );
    assert.deepEqual([taken.code, taken.reason], ['FAILED_PRECONDITION', 'GITHUB_LOGIN_TAKEN']);
    for (const alertId of [0, -1])
      assert.deepEqual(await refusal(api.call('GetAlert', { alertId })), invalid('alert_id'));
    assert.equal((await failureOf(api.call('GetAlert', { alertId: 999_999 }))).reason, 'ALERT_NOT_FOUND');
    const nobody = ['ends with a space ', 'line\nbreak'].map((userId) => ({
      userId,
      department: 'D',
      active: true,
    }));
    assert.deepEqual(
      await refusal(api.call('UpsertUsers', { users: nobody })),
      invalid('users[0].user_id', 'users[1].user_id'),
    );
  });

  await t.test('no argument makes the service fail inside', async (each) => {
    type Hostile = [Method, Parameters<TestApi['call']>[1], { user?: string; caller?: string }?];
    const nul = 'a\0b';
    const calls: Hostile[] = [
      ['GetAlert', { alertId: BIGGEST }],
      ['GetAlert', { alertId: `-${BIGGEST}` }],
      ['GetAlert', { alertId: BIGGEST }, { user: 'op1' }],
      ['MarkRead', { alertIds: [BIGGEST] }, { user: 'op1' }],
      ['MarkUnread', { alertIds: [BIGGEST] }, { user: 'op1' }],
      ['DeleteFromInbox', { alertIds: [`-${BIGGEST}`] }, { user: 'op1' }],
      ['ListInbox', { userId: nul }],
      ['ListInbox', { userId: 'u'.repeat(10_000) }],
      ['ListInbox', { pageToken: pageToken(1.5) }, { user: 'op1' }],
      ['ListInbox', { pageToken: pageToken(1e300) }, { user: 'op1' }],
      ['ListAlerts', { pageToken: pageToken(-1.5) }],
      ['ListAlerts', { appName: nul }],
      ['ListUsers', { department: nul }],
      ['ListUsers', { pageToken: pageToken(nul) }],
      ['GetUnreadCount', { userId: nul }],
      ['MarkAllRead', { userId: nul }],
    ];
    for (const [method, request, as] of calls) {
      await each.test(`${method} ${JSON.stringify(request).slice(0, 60)}`, async () => {
        const code = await api.call(method, request, as).then(
          () => 'OK',
          (error: { code: string }) => error.code,
        );
        assert.notEqual(code, 'INTERNAL');
      });
    }
    await each.test('StreamAlerts of a user id with U+0000', async () => {
      const error = await collectStream(each, api, { caller: 'x' }, { userId: nul }).untilRefused();
      assert.notEqual(error.code, 'INTERNAL');
    });
  });
});

import assert from 'node:assert/strict';
import test from 'node:test';
import grpc from '@grpc/grpc-js';
import { api } from '../../services/lib/grpc/protos.js';
import type { BatchCreateAlertsResponse__Output } from '../../services/lib/grpc/types/ssom/alert/v1/BatchCreateAlertsResponse.js';
import type { CreateAlertRequest } from '../../services/lib/grpc/types/ssom/alert/v1/CreateAlertRequest.js';
import type { ListInboxResponse__Output } from '../../services/lib/grpc/types/ssom/alert/v1/ListInboxResponse.js';
import { alertRequest } from '../support/alerts.js';
import { ADMIN, failureOf, metadataOf, type TestApi } from '../support/api.js';
import { defer } from '../support/defer.js';
import { loadDirectory, storeDirectory, user } from '../support/directory.js';
import { startTestCluster } from '../support/in-process.js';
import { readPage } from '../support/metrics-page.js';
import { untilTrue } from '../support/until-true.js';

/** What a handler answers to a request, and the alert as it is stored. */
async function created(client: TestApi, request: CreateAlertRequest) {
  const answer = await client.call('CreateAlert', alertRequest(request));
  const stored = await client.call('GetAlert', { alertId: answer.alert!.alertId });
  assert.deepEqual(stored.alert, answer.alert);
  return { answer, alert: answer.alert!, progress: stored.progress! };
}

test('what tools send when much is broken arrives: shortened, set right, and said', async (t) => {
  const cluster = await startTestCluster(t);
  await storeDirectory(cluster.store.database);
  const client = cluster.api(await cluster.start('alert-api'));

  await t.test("Alertmanager's default subject and Kubernetes' label keys", async () => {
    const title = `[FIRING:3] KubePodCrashLooping ${'monitoring '.repeat(20)}(warning)`;
    const key = `apps.kubernetes.io/${'pod-'.repeat(14)}index`;
    const { answer, alert } = await created(client, { title, labels: { [key]: '0', long: 'v'.repeat(2000) } });
    assert.ok(title.length > 200 && key.length > 64);
    assert.ok(alert.title.length <= 200 && alert.title.endsWith('…') && title.startsWith(alert.title.slice(0, -1)));
    assert.equal(alert.labels[key], '0');
    assert.deepEqual(
      answer.adjustments.map(({ field, type, originalLength }) => [field, type, originalLength]),
      [
        ['title', 'ADJUSTMENT_TYPE_SHORTENED', title.length],
        ['labels["long"]', 'ADJUSTMENT_TYPE_SHORTENED', 2000],
      ],
    );
  });

  await t.test("Grafana's group of 25 pods", async () => {
    const pod = `Value: A=0.0731\nLabels:\n - alertname = HighErrorRate\n - pod = ${'p'.repeat(600)}\n\n`;
    const { alert } = await created(client, { message: pod.repeat(25) });
    assert.equal(Array.from(alert.message).length, 16_384);
    assert.ok(alert.message.endsWith('…'));
  });

  await t.test('an alert that has been firing for 31 days, and KST that was written as Z', async () => {
    const now = Math.floor(Date.now() / 1000);
    for (const seconds of [now - 31 * 86_400, now + 9 * 3600, 0]) {
      const { answer, alert } = await created(client, { occurredAt: { seconds, nanos: 0 } });
      assert.deepEqual([alert.occurredAt!.seconds, answer.adjustments], [seconds, []]);
    }
    const { answer, alert } = await created(client, { occurredAt: { seconds: now + 400 * 86_400, nanos: 0 } });
    assert.deepEqual(alert.occurredAt, alert.createdAt);
    assert.equal(answer.adjustments[0]!.type, 'ADJUSTMENT_TYPE_REPLACED');
    assert.equal(Date.parse(answer.adjustments[0]!.original), (now + 400 * 86_400) * 1000);
  });

  await t.test('a repeat is the same request, whatever was adjusted, and gets the same answer', async () => {
    const request = alertRequest({
      requestId: 'r',
      title: 't'.repeat(300),
      occurredAt: { seconds: 9e9, nanos: 0 },
      recipients: { userIds: ['op1', 'Ghost'] },
    });
    const first = await client.call('CreateAlert', request);
    const again = await client.call('CreateAlert', request);
    assert.deepEqual(again, { ...first, replayed: true });
    assert.equal(first.adjustments.length, 2);
    const other = client.call('CreateAlert', { ...request, title: `${'t'.repeat(299)}u` });
    assert.equal((await failureOf(other)).reason, 'REQUEST_ID_REUSED');
  });

  await t.test('far beyond a limit it is refused, and so are the items of a batch, each for itself', async () => {
    const { results } = await client.call('BatchCreateAlerts', {
      requests: [
        alertRequest({ title: 'x'.repeat(4097) }),
        alertRequest({ title: 'x'.repeat(4096), recipients: { githubLogins: ['OP-ONE', 'Octocat'] } }),
      ],
    });
    assert.match(results[0]!.error!.message, /at most 4096 characters \(200 are kept\)/);
    const { response } = results[1]!;
    assert.equal(response!.adjustments.length, 1);
    assert.deepEqual(
      response!.unreached.map(({ name }) => name),
      ['Octocat'],
    );
  });
});

test('the answer to a batch whose items are all wrong, in every way, stays below 4 MiB', async (t) => {
  const cluster = await startTestCluster(t);
  const role = await cluster.start('alert-api');
  const plain = new grpc.Client(role.address, grpc.credentials.createInsecure());
  defer(t, () => plain.close());
  const { path, requestSerialize, responseDeserialize } = api.AlertService.service.BatchCreateAlerts;
  const labels = Object.fromEntries(Array.from({ length: 32 }, (_, key) => ['\0'.repeat(20 + key), 'v']));
  const requests = Array.from({ length: 500 }, () => alertRequest({ title: '', labels }));
  const { results } = await new Promise<BatchCreateAlertsResponse__Output>((resolve, reject) => {
    plain.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { requests },
      metadataOf(ADMIN),
      (error, response) => (error === null ? resolve(response!) : reject(error)),
    );
  });
  for (const { error } of results) {
    const { field, description } = error!.fieldViolations.at(-1)!;
    assert.deepEqual([error!.fieldViolations[0]!.field, field], ['title', '']);
    assert.match(description, /^and \d+ more$/);
  }
});

test('who is not known is named as given, in the answer and for alerts trace; the others get it', async (t) => {
  const cluster = await startTestCluster(t);
  await storeDirectory(cluster.store.database);
  const client = cluster.api(await cluster.start('alert-api'));
  await cluster.start('fanout');
  const { answer, progress } = await created(client, { recipients: { githubLogins: ['op-one', 'Copilot'] } });
  const copilot = {
    list: 'RECIPIENT_LIST_GITHUB_LOGINS',
    name: 'Copilot',
    reason: 'UNREACHED_REASON_UNKNOWN',
  };
  assert.deepEqual([answer.unreached, answer.unreachedCount, answer.reachesNobody], [[copilot], 1, false]);
  assert.deepEqual([progress.unreached, progress.unreachedCount, progress.recipients], [[copilot], 1, 1]);
});

test('an empty, malformed or overlong name is one that is not known; only if nobody is known the alert is refused', async (t) => {
  const cluster = await startTestCluster(t);
  await storeDirectory(cluster.store.database);
  const client = cluster.api(await cluster.start('alert-api'));
  const wrong = ['', ' ', 'a\0b', 'half\ufffd', 'x'.repeat(5000)];
  const shown = ['', ' ', 'a\ufffdb', 'half\ufffd', `${'x'.repeat(128)}…`];
  // What a user could be called at most does not become what an overlong name is shown as.
  await client.call('UpsertUsers', { users: [user(`${'x'.repeat(127)}…`, 'OPERATION')] });
  const request = alertRequest({
    requestId: 'r',
    recipients: {
      userIds: [...wrong, 'op1'],
      departments: ['CHANNEL', ...wrong],
      githubLogins: [...wrong, 'CORE-ONE'],
    },
  });
  const { answer } = await created(client, request);
  const told = (list: string) =>
    shown.map((name) => ({ list: `RECIPIENT_LIST_${list}`, name, reason: 'UNREACHED_REASON_UNKNOWN' }));
  assert.deepEqual(answer.unreached, [...told('USER_IDS'), ...told('GITHUB_LOGINS'), ...told('DEPARTMENTS')]);
  assert.deepEqual([answer.unreachedCount, answer.reachesNobody], [15, false]);
  assert.deepEqual(await client.call('CreateAlert', request), { ...answer, replayed: true });
  const reached = await cluster.store.sql<{ user_id: string }>('SELECT user_id FROM alert_recipients ORDER BY user_id');
  assert.deepEqual(reached, [{ user_id: 'core1' }, { user_id: 'op1' }]);

  const nobody = [{ userIds: wrong }, { departments: wrong }, { githubLogins: wrong }];
  for (const recipients of nobody) {
    const refusal = await failureOf(client.call('CreateAlert', alertRequest({ recipients })));
    assert.equal(refusal.code, 'INVALID_ARGUMENT');
    assert.match(refusal.message, /'' does not exist/);
  }
});

test('what reaches nobody is named when rules or users change, and when an alert is created, and counted', async (t) => {
  const cluster = await startTestCluster(t);
  const client = cluster.api(await cluster.start('alert-api'));
  const fanout = await cluster.start('fanout');
  await loadDirectory(client);
  const counted = async (level: string) => {
    const page = readPage(await (await fetch(`http://${fanout.http}/metrics`)).text());
    const samples = page.get('ssom_fanout_without_recipients_total')?.samples ?? [];
    return samples.find(({ labels }) => labels['level'] === level)?.value;
  };
  assert.equal(await counted('CRITICAL'), 0);

  const { warnings } = await client.call('SetRoutingRules', {
    rules: [
      { department: 'OPERTION', match: 'ROUTING_MATCH_ALL' },
      { department: 'CHANNEL', match: 'ROUTING_MATCH_APP_CONTAINS', appPattern: 'bank' },
    ],
  });
  const misspelt = { type: 'DIRECTORY_WARNING_TYPE_RULE_WITHOUT_USERS', department: 'OPERTION' };
  assert.deepEqual(warnings, [misspelt]);
  const night = await client.call('UpsertUsers', { users: [user('only', 'NIGHT', { active: false })] });
  assert.deepEqual(night.warnings, [
    misspelt,
    { type: 'DIRECTORY_WARNING_TYPE_DEPARTMENT_WITHOUT_ACTIVE_USER', department: 'NIGHT' },
  ]);

  const ruled = (await created(client, { level: 'ALERT_LEVEL_CRITICAL', appName: 'zzz' })).answer;
  assert.equal(ruled.reachesNobody, true);
  assert.deepEqual(ruled.unreached, [
    { list: 'RECIPIENT_LIST_ROUTING_RULES', name: 'OPERTION', reason: 'UNREACHED_REASON_NO_ACTIVE_USER' },
  ]);
  const some = (await created(client, { appName: 'ssok-bank' })).answer;
  assert.deepEqual([some.reachesNobody, some.unreachedCount], [false, 1]);
  const named = (await created(client, { level: 'ALERT_LEVEL_CRITICAL', recipients: { departments: ['NIGHT'] } }))
    .answer;
  assert.equal(named.reachesNobody, true);
  assert.deepEqual(named.unreached, [
    { list: 'RECIPIENT_LIST_DEPARTMENTS', name: 'NIGHT', reason: 'UNREACHED_REASON_NO_ACTIVE_USER' },
  ]);
  await untilTrue(async () => (await counted('CRITICAL')) === 2, { what: 'both are counted' });
  assert.equal(await counted('ERROR'), 0);

  const set = await client.call('SetRoutingRules', { rules: [{ department: 'NIGHT', match: 'ROUTING_MATCH_ALL' }] });
  assert.deepEqual(set.warnings, [{ type: 'DIRECTORY_WARNING_TYPE_RULE_WITHOUT_ACTIVE_USER', department: 'NIGHT' }]);
  const well = await client.call('UpsertUsers', { users: [user('only', 'NIGHT')] });
  assert.deepEqual(well.warnings, []);
  assert.equal((await created(client, {})).answer.reachesNobody, false);
  await client.call('SetRoutingRules', { rules: [] });
  assert.equal((await created(client, {})).answer.reachesNobody, true);
});

test('a change of the directory that is committed is answered, with no warnings if they are not known soon', async (t) => {
  const cluster = await startTestCluster(t);
  await storeDirectory(cluster.store.database);
  const client = cluster.api(await cluster.start('alert-api'));
  const rules = [{ department: 'OPERTION', match: 'ROUTING_MATCH_ALL' as const, appPattern: '' }];
  const other = cluster.store.connect();
  await other.transaction(async (connection) => {
    // The rules are written without it, and the warnings need it.
    await connection.query('LOCK TABLE users IN ACCESS EXCLUSIVE MODE');
    const { directoryVersion, warnings } = await client.call('SetRoutingRules', { rules });
    assert.deepEqual(warnings, []);
    assert.deepEqual(await client.call('GetRoutingRules', {}), { rules, directoryVersion });
  });
  assert.equal((await client.call('SetRoutingRules', { rules })).warnings.length, 1);
});

test('a page ends at 3 MiB, so that a client with the defaults of its library gets every one', async (t) => {
  const cluster = await startTestCluster(t);
  await storeDirectory(cluster.store.database);
  const role = await cluster.start('alert-api');
  const client = cluster.api(role);
  const ids: number[] = [];
  for (let batch = 0; batch < 6; batch += 1) {
    const requests = Array.from({ length: 20 }, () => alertRequest({ message: '결제 서비스 오류 '.repeat(1600) }));
    const { results } = await client.call('BatchCreateAlerts', { requests });
    ids.push(...results.map(({ response }) => response!.alert!.alertId));
  }
  await cluster.store.sql(`
    INSERT INTO alert_statuses (user_id, alert_id, seq, created_seq, change, is_read, created_at)
    SELECT 'op1', alert_id, alert_id, alert_id, 1, false, now() FROM alerts`);
  const plain = new grpc.Client(role.address, grpc.credentials.createInsecure());
  defer(t, () => plain.close());
  const { path, requestSerialize, responseDeserialize } = api.InboxService.service.ListInbox;
  const list = (pageToken: string) =>
    new Promise<ListInboxResponse__Output>((resolve, reject) => {
      const request = { userId: 'op1', pageSize: 500, pageToken };
      plain.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadataOf({ user: 'op1' }),
        (error, page) => (error === null ? resolve(page!) : reject(error)),
      );
    });
  const sizes: number[] = [];
  const seen: number[] = [];
  for (let token = ''; sizes.length === 0 || token !== '';) {
    const { entries, nextPageToken } = await list(token);
    sizes.push(entries.length);
    seen.push(...entries.map(({ alert }) => alert!.alertId));
    token = nextPageToken;
  }
  assert.deepEqual(
    seen,
    ids.sort((a, b) => b - a),
  );
  assert.ok(sizes.length > 1, 'one page held them all');

  const { alerts, nextPageToken } = await client.call('ListAlerts', { pageSize: 500 });
  const bytes = api.AlertService.service.ListAlerts.responseSerialize({ alerts, nextPageToken }).length;
  assert.ok(bytes <= 3 * 1_048_576 && bytes > 2.9 * 1_048_576, `${bytes} bytes`);
  assert.notEqual(nextPageToken, '');
  const small = await client.call('ListAlerts', { pageSize: 5 });
  assert.equal(small.alerts.length, 5);
});

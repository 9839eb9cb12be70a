import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { main } from '../../../services/cli/cli.js';
import { Retention } from '../../../services/maintenance/retention.js';
import { alertRequest } from '../../support/alerts.js';
import { defer } from '../../support/defer.js';
import { loadDirectory } from '../../support/directory.js';
import { startTestCluster, TestCluster } from '../../support/in-process.js';
import { startPushCluster } from '../../support/push.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { untilTrue } from '../../support/until-true.js';
import { fakeContext } from '../../unit/cli/fake-context.js';

interface Role {
  readonly http: string;
}

/** What `alerts trace` prints, given the roles that run. */
async function trace(api: { readonly address: string }, alertId: number, ...roles: readonly Role[]): Promise<string> {
  const environment = { SSOM_ADDRESS: api.address, SSOM_ROLES: roles.map(({ http }) => http).join() };
  const context = fakeContext({ environment });
  assert.equal(await main(['alerts', 'trace', String(alertId)], context), 0, context.err());
  return context.out();
}

/** Traces until the answer is as expected: some of it is known to the roles after a moment. */
async function traceUntil(pattern: RegExp, look: () => Promise<string>): Promise<string> {
  let last = '';
  await untilTrue(async () => pattern.test((last = await look())), {
    timeoutMs: 30_000,
    what: () => `${pattern} in\n${last}`,
  });
  return last;
}

// Each waits most of the time, for a broker of its own.
describe('alerts trace says where an alert is, and why it is not further', { concurrency: 3 }, () => {
  it('step by step: Kafka takes nothing, no fanout, no delivery, a user who is gone, and through', async (t) => {
    const cluster = await startTestCluster(t);
    let kafkaTakes = false;
    const api = await cluster.start('alert-api', {
      fault: async (records, publish) => {
        if (!kafkaTakes) throw new Error('the test lets nothing through');
        await publish(records);
      },
    });
    const client = cluster.api(api);
    await loadDirectory(client);
    const recipients = { userIds: ['op1', 'op2', 'chan1'] };
    const { alert } = await client.call('CreateAlert', alertRequest({ recipients }));
    const { alertId } = alert!;

    const stored = await traceUntil(/waits in the outbox/, () => trace(api, alertId, api));
    assert.match(stored, /\nit waits to be published to Kafka\n/);
    assert.match(stored, /\n {2}published +-\n {2}fanned out +-\n/);
    assert.match(stored, /1 alert waits in the outbox, the oldest for \d/);

    kafkaTakes = true;
    const published = await traceUntil(/it waits to be fanned out/, () => trace(api, alertId, api));
    assert.match(published, /\n {2}published +- +it was; when is known after the fan-out\n/);
    assert.match(published, /missing in 3 inboxes: chan1, op1, op2\n/);
    assert.match(published, /\nwhy\n {2}no fanout answers: none of the addresses asked is one\n/);

    const fanout = await cluster.start('fanout');
    const fannedOut = await traceUntil(/to 3 recipients/, () => trace(api, alertId, api, fanout));
    assert.match(fannedOut, /\nit is missing in 3 inboxes of 3\n/);
    assert.match(fannedOut, /\nwhy\n {2}no delivery answers/);
    assert.match(fannedOut, /reconcile looks at it/);

    await cluster.store.sql("DELETE FROM users WHERE user_id = 'op2'");
    const delivery = await cluster.start('delivery');
    const held = await traceUntil(/missing in 1 inbox: [^]*dead letter/, () =>
      trace(api, alertId, api, fanout, delivery),
    );
    assert.match(held, /missing in 1 inbox: op2\n/);
    assert.match(held, /\nwhy\n {2}dead letter user-alert-topic-\d@\d+ \(op2\): .*user op2 does not exist\n/);
    assert.match(held, /'ssom-alert dlq show user-alert-topic-\d@\d+' shows it/);
    assert.match(held, /in inboxes .* 2 of 3/);

    const through = await client.call('CreateAlert', alertRequest({ recipients: { userIds: ['op1'] } }));
    await client.call('MarkRead', { alertIds: [alertId] }, { user: 'op1' });
    const whole = await traceUntil(/inbox of every recipient/, () =>
      trace(api, through.alert!.alertId, api, fanout, delivery),
    );
    assert.match(whole, /in inboxes .* 1 of 1/);
    assert.match(whole, /\nwhy\n {2}no stream-gateway answers/, 'nothing else is amiss');
    assert.match(await trace(api, alertId, api), /\n {2}read +\S+ \S+ +1 of 3\n/);
    const gateway = await cluster.start('stream-gateway');
    await untilTrue(
      async () => !(await trace(api, through.alert!.alertId, api, fanout, delivery, gateway)).includes('\nwhy\n'),
      { what: 'nothing is amiss' },
    );
  });

  it('delivery cannot reach PostgreSQL', async (t) => {
    const cluster = await startTestCluster(t);
    const url = new URL(cluster.backends.databaseUrl);
    const proxy = await TcpProxy.listen(Number(url.port));
    defer(t, () => proxy.close());
    url.host = proxy.address;
    const api = await cluster.start('alert-api');
    const fanout = await cluster.start('fanout');
    const behindProxy = new TestCluster(
      t,
      cluster.config,
      { ...cluster.backends, databaseUrl: url.href },
      cluster.store,
    );
    const delivery = await behindProxy.start('delivery');
    const client = cluster.api(api);
    await loadDirectory(client);
    proxy.cut();
    const { alert } = await client.call('CreateAlert', alertRequest({ recipients: { userIds: ['op1'] } }));
    const look = () => trace(api, alert!.alertId, api, fanout, delivery);
    const out = await traceUntil(/breaker to postgresql is (half )?open/, look);
    assert.match(out, /\nit is missing in 1 inbox of 1\n/);
    assert.match(await traceUntil(/is not ready: postgresql: /, look), /delivery at \S+ is not ready/);
    proxy.heal();
    await traceUntil(/inbox of every recipient/, look);
  });

  it('pushes: nobody plans them, FCM is not there, sent, given up', async (t) => {
    const push = await startPushCluster(t);
    const { cluster, fcm } = push;
    const api = await cluster.start('alert-api');
    await push.register('op1');
    const alertId = await push.create(['op1', 'op2']);
    const unplanned = await traceUntil(/1 user not planned for yet/, () => trace(api, alertId, api));
    assert.match(unplanned, /\n {2}no push answers: none of the addresses asked is one\n/);

    const ruleId = await fcm.rule({ error: 'UNAVAILABLE', retryAfter: 2 });
    const role = await cluster.start('push', { ready: false });
    // One device that FCM refuses waits by itself: the role does not.
    const refused = await traceUntil(
      /push to op1, device \d+, failed and is tried again in at most .*: messaging\//,
      () => trace(api, alertId, api, role),
    );
    assert.match(refused, /\n {2}pushed +- +0 of 1, 1 (waiting|sending)\n/);
    assert.doesNotMatch(refused, /FCM has asked to wait/);

    await fcm.removeRule(ruleId);
    const sent = await traceUntil(/\n {2}pushed +\S+ \S+ +\+\S+ \S+ .*1 of 1/, () => trace(api, alertId, api, role));
    assert.doesNotMatch(sent, /push to op1/);
    const top = fakeContext({ environment: { SSOM_ROLES: role.http } });
    assert.equal(await main(['top', '--once', '--interval', '0.2'], top), 0);
    assert.match(top.out(), /\npush +(nothing due|\d+ push)/);

    // The message is at fault: FCM takes the token.
    await fcm.rule({ error: 'INVALID_ARGUMENT', validateOnly: false });
    const refusedId = await push.create(['op1']);
    const failed = await traceUntil(/dlq list/, () => trace(api, refusedId, api, role));
    const [, words] = /\n {2}'ssom-alert dlq list --reason "(push to device \d+:)"' lists it/.exec(failed)!;
    const [letter] = await cluster.read(`${cluster.config.topicInboxChange}-dlq`, 1);
    const reason = letter!.headers.find((header) => 'dlq-error-message' in header)!['dlq-error-message'];
    assert.ok(String(reason).startsWith(words!), `${String(reason)} is what the words find`);
  });

  it('what retention has closed is not missing; what it has removed was there', async (t) => {
    const cluster = await startTestCluster(t, { ALERT_RETENTION_DAYS: '30' });
    const api = await cluster.start('alert-api', { as: 'standalone' });
    const client = cluster.api(api);
    await loadDirectory(client);
    const { alert } = await client.call('CreateAlert', alertRequest({ recipients: { userIds: ['op1'] } }));
    const { alertId } = alert!;
    await untilTrue(async () => (await cluster.store.sql('SELECT 1 FROM outbox')).length === 0, { what: 'published' });
    await cluster.store.sql("UPDATE alerts SET created_at = now() - interval '40 days'");
    const retention = new Retention(api.runtime);
    const { signal } = new AbortController();
    await retention.remove(signal);
    const closed = await trace(api, alertId, api);
    assert.match(closed, /\nit is older than ALERT_RETENTION_DAYS: nothing delivers it any more\n/);
    assert.doesNotMatch(closed, /missing|no delivery/);
    await cluster.store.sql("UPDATE service_state SET retention_at = now() - interval '1 hour'");
    await retention.remove(signal);
    const context = fakeContext({ environment: { SSOM_ADDRESS: api.address, SSOM_ROLES: api.http } });
    assert.equal(await main(['alerts', 'trace', String(alertId)], context), 1);
    assert.match(context.err(), /there is no alert \d+ any more: it was older than ALERT_RETENTION_DAYS/);
    // Those who may not know of all alerts learn nothing of those that were.
    await assert.rejects(client.call('GetAlert', { alertId }, { user: 'op1' }), /there is no alert \d+$/);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { main } from '../../../services/cli/cli.js';
import type { RunningRole } from '../../support/in-process.js';
import { acceptedBy, metricsOf, newToken, type PushCluster, startPushCluster } from '../../support/push.js';
import { patience, untilTrue } from '../../support/until-true.js';
import { fakeContext } from '../../unit/cli/fake-context.js';

interface LogLine {
  readonly level: string;
  readonly text: string;
}

/** All that a role logs from now on, with its errors and their causes. */
function logOf({ runtime }: RunningRole): LogLine[] {
  const lines: LogLine[] = [];
  for (const level of ['debug', 'info', 'warn', 'error'] as const) {
    runtime.logger[level] = (...args: unknown[]) => void lines.push({ level, text: inspect(args, { depth: 8 }) });
  }
  return lines;
}

const breakerOf = async (role: RunningRole) =>
  /^ssom_breaker_state\{[^}]*name="fcm"[^}]*\} (\d)/m.exec(await metricsOf(role))?.[1];

const letters = (push: PushCluster) => push.cluster.read(`${push.cluster.config.topicInboxChange}-dlq`, 1);

/** Refusals that `age` gives a device: enough for it to be hopeless. */
const AGED = 20;

/** Nothing is on its way to it that could be stored just now. */
const WAITS = `waits_until > now() + interval '1 second'`;

/** Devices that are refused, of those that `where` names. */
const refusalsOf = (push: PushCluster, where = 'true') =>
  push.cluster.store.sql<{ refusals: number }>(`SELECT refusals FROM devices WHERE refusals > 0 AND ${where}`);

/** As after an hour of refusals. */
const age = (push: PushCluster) =>
  push.cluster.store.sql(
    `UPDATE devices SET refusals = ${AGED}, refusals_in_row = ${AGED}, own_refusals_in_row = ${AGED},
                        refused_since = refused_since - interval '61 minutes' WHERE refusals > 0`,
  );

const devicesOf = async (push: PushCluster, user: string) =>
  (await push.api.call('ListDevices', {}, { user })).devices.length;

/** Creates alerts for a user, whose devices are served, until it is so. */
async function othersAreServed(push: PushCluster, user: string, until: () => Promise<boolean>): Promise<void> {
  const step = async () => {
    await push.create([user]);
    return until();
  };
  await untilTrue(step, { what: String(until), intervalMs: 300, timeoutMs: 60_000 });
}

// Each waits most of the time, for a broker of its own.
describe('push, when FCM does not do as it should', { concurrency: 3 }, () => {
  it('a dead token is removed; an invalid argument goes to the dead letters, and redrive sends it again', async (t) => {
    const push = await startPushCluster(t);
    const { fcm, cluster } = push;
    const role = await cluster.start('push');
    const log = logOf(role);
    const dead = await push.register('op1');
    const refused = await push.register('op1');
    const fine = await push.register('op1');
    await fcm.setTokens('dead', [dead]);
    const ruleId = await fcm.rule({ token: refused, validateOnly: false, error: 'INVALID_ARGUMENT' });
    const alertId = await push.create(['op1']);
    await push.settles(alertId, 'failed', 'failed', 'sent');
    // It goes after what became of the push is stored.
    await untilTrue(async () => (await devicesOf(push, 'op1')) === 2, { what: 'the dead one is gone' });
    const { devices } = await push.api.call('ListDevices', {}, { user: 'op1' });
    assert.deepEqual(
      devices.map(({ tokenEnding }) => tokenEnding).sort(),
      [refused, fine].map((each) => each.slice(-6)).sort(),
    );
    await untilTrue(async () => /ssom_push_tokens_removed_total\{[^}]*\} 1\b/.test(await metricsOf(role)), {
      what: 'it is counted',
    });

    const { progress } = await push.api.call('GetAlert', { alertId });
    assert.deepEqual(
      new Map(progress!.pushCounts.map(({ state, count }) => [state, count])),
      new Map([
        ['PUSH_STATE_FAILED', 2],
        ['PUSH_STATE_SENT', 1],
      ]),
    );
    assert.deepEqual(
      progress!.pushes.map(({ userId, state, attempts, error }) => [userId, state, attempts, error.split(':')[0]]),
      [
        ['op1', 'PUSH_STATE_FAILED', 1, 'messaging/registration-token-not-registered'],
        ['op1', 'PUSH_STATE_FAILED', 1, 'messaging/invalid-argument'],
        ['op1', 'PUSH_STATE_SENT', 1, ''],
      ],
    );
    assert.equal(progress!.pushes[2]!.fcmMessageName, (await acceptedBy(fcm, fine))[0]!.name);
    assert.notEqual(progress!.pushes[2]!.sentAt, null);
    assert.equal((await push.api.call('GetAlert', { alertId }, { user: 'op1' })).progress, null);

    const [letter] = await letters(push);
    const headers = Object.assign({}, ...letter!.headers) as Record<string, Buffer>;
    assert.equal(letter!.key, 'op1');
    assert.equal(String(headers['dlq-error-class']), 'poison');
    assert.match(String(headers['dlq-error-message']), /^push to device \d+: messaging\/invalid-argument: /);

    await fcm.removeRule(ruleId);
    const { config, backends } = cluster;
    const { databaseUrl, brokers } = backends;
    const environment = { DATABASE_URL: databaseUrl, KAFKA_BOOTSTRAP_SERVERS: brokers.bootstrapServers };
    const context = fakeContext({ environment });
    assert.equal(
      await main(
        ['dlq', 'redrive', '--topic', config.topicInboxChange, '--reason', 'invalid-argument', '--yes'],
        context,
      ),
      0,
      context.err(),
    );
    assert.match(context.err(), /1 dead letter sent back/);
    await push.receives(refused, 1);
    await push.settles(alertId, 'skipped', 'sent', 'sent');
    assert.equal((await acceptedBy(fcm, fine)).length, 1);
    for (const { text } of log) for (const token of [dead, refused, fine]) assert.ok(!text.includes(token), text);
  });

  it('tokens of another sender raise one alarm and open the breaker, which closes by itself', async (t) => {
    const push = await startPushCluster(t);
    const role = await push.start();
    const log = logOf(role);
    const tokens = [];
    for (let count = 0; count < 8; count += 1) tokens.push(await push.register('op1'));
    await push.fcm.setTokens('other-sender', tokens);
    const alertId = await push.create(['op1']);
    await untilTrue(async () => (await breakerOf(role)) === '2', { what: 'the breaker is open' });
    await untilTrue(async () => (await push.fcm.counts()).requests >= 12, {
      what: 'it is tried again',
      timeoutMs: 30_000,
    });
    await push.fcm.setTokens('known', tokens);
    for (const token of tokens) await push.receives(token, 1);
    await push.settles(alertId, ...tokens.map(() => 'sent'));
    assert.equal(await breakerOf(role), '0');
    const alarms = log.filter(({ text }) => text.includes('does not accept our credentials'));
    assert.deepEqual(
      alarms.map(({ level }) => level),
      ['error'],
    );
    for (const { text } of log) for (const token of tokens) assert.ok(!text.includes(token), text);
  });

  it('an access token that is refused is not used until it ends', async (t) => {
    const push = await startPushCluster(t);
    await push.start();
    const token = await push.register('op1');
    await push.create(['op1']);
    await push.receives(token, 1);
    await push.fcm.revokeAccessTokens();
    await push.create(['op1']);
    await push.receives(token, 2);
  });

  for (const error of ['QUOTA_EXCEEDED', 'UNAVAILABLE'] as const) {
    it(`${error} with Retry-After slows the whole role, and all is sent in the end`, async (t) => {
      const push = await startPushCluster(t);
      await push.start();
      const tokens = [];
      for (let count = 0; count < 50; count += 1) tokens.push(await push.register('op1'));
      await push.fcm.rule({ error, retryAfter: 3, times: 50 });
      await push.create(['op1']);
      await untilTrue(async () => (await push.fcm.counts()).requests >= 50, { what: 'all are refused' });
      await push.create(['op1']);
      await sleep(1500);
      const during = (await push.fcm.counts()).requests;
      assert.ok(during <= 55, `${during - 50} requests in the pause`);
      for (const token of tokens) await push.receives(token, 2);
      assert.equal((await push.fcm.counts()).accepted, 100);
      assert.deepEqual(await push.cluster.store.sql('SELECT 1 FROM dead_letters'), []);
    });
  }

  it("a device over its quota waits by itself: its user's other device and CRITICAL pushes of others go at once", async (t) => {
    const push = await startPushCluster(t);
    const role = await push.start();
    const others = ['op2', 'core1', 'core2', 'chan1', 'chan2'];
    const [busy, second] = [await push.register('op1'), await push.register('op1')];
    const tokens = new Map<string, string>();
    for (const userId of others) tokens.set(userId, await push.register(userId));
    const rule = await push.fcm.rule({ token: busy, perMinute: 20, error: 'QUOTA_EXCEEDED', retryAfter: 20 });
    for (let count = 0; count < 60; count += 1) await push.create(['op1']);
    await untilTrue(async () => (await push.fcm.received(busy)).some(({ status }) => status === 429), {
      what: 'it is over its quota',
    });
    const waits = await Promise.all(
      others.map(async (userId) => {
        const created = performance.now();
        await push.create([userId], { level: 'ALERT_LEVEL_CRITICAL' });
        await push.receives(tokens.get(userId)!, 1);
        return performance.now() - created;
      }),
    );
    const slowest = Math.max(...waits);
    t.diagnostic(`the slowest of ${others.length} took ${Math.round(slowest)} ms`);
    assert.ok(slowest < patience(3000), `a push of somebody else took ${Math.round(slowest)} ms`);
    await push.receives(second, 60);
    assert.match(await metricsOf(role), /ssom_push_paused\{[^}]*\} 0\b/);
    const refused = (await push.fcm.received(busy)).filter(({ status }) => status === 429).length;
    assert.ok(refused <= 20, `${refused} refused requests`);
    await push.fcm.removeRule(rule);
    await push.receives(busy, 60);
    assert.deepEqual(await push.cluster.store.sql('SELECT 1 FROM dead_letters'), []);
  });

  const hopelessFor = { 429: 'QUOTA_EXCEEDED', INVALID_ARGUMENT: 'INVALID_ARGUMENT' } as const;
  for (const [name, error] of Object.entries(hopelessFor)) {
    it(`a device that always gets ${name} waits longer each time, makes no dead letters, and goes in the end`, async (t) => {
      const push = await startPushCluster(t, { PUSH_DEVICE_REFUSED_MAX_MS: '3600000' });
      const { sql } = push.cluster.store;
      const role = await push.start();
      const log = logOf(role);
      const [hopeless, fine] = [await push.register('op1'), await push.register('op2')];
      await push.fcm.rule({ token: hopeless, error });
      for (let count = 0; count < 100; count += 1) await push.create(['op1', 'op2']);
      await push.receives(fine, 100);
      const waiting = `SELECT device_id FROM push_deliveries WHERE state = 'waiting'`;
      await untilTrue(async () => (await sql(waiting)).length >= 70, { what: 'most of the others wait' });
      await othersAreServed(
        push,
        'op2',
        async () => (await refusalsOf(push, `refused_since IS NOT NULL AND ${WAITS}`)).length === 1,
      );
      await age(push);
      await othersAreServed(push, 'op2', async () => (await devicesOf(push, 'op1')) === 0);
      assert.match(await metricsOf(role), /ssom_push_devices_hopeless_total\{[^}]*\} 1\b/);
      assert.ok(log.some(({ level, text }) => level === 'warn' && text.includes('FCM has refused it for too long')));
      for (const { text } of log) assert.ok(!text.includes(hopeless), text);
      // Those that were claimed just then wait for their next try, five minutes at most, which ends them.
      await untilTrue(
        async () => {
          await sql(`UPDATE push_deliveries SET due_at = now() WHERE due_at > now() + interval '1 minute'`);
          return (await sql(`SELECT 1 FROM push_deliveries WHERE due_at IS NOT NULL`)).length === 0;
        },
        { what: 'nothing waits for it any more', intervalMs: 500, timeoutMs: 60_000 },
      );
      assert.deepEqual(await sql('SELECT 1 FROM dead_letters'), []);
    });
  }

  it('a device that APNs alone refuses goes in the end: what is wrong for it was taken for others of its platform', async (t) => {
    const push = await startPushCluster(t, { PUSH_DEVICE_REFUSED_MAX_MS: '3600000' });
    const role = await push.start();
    const hopeless = await push.register('op1', 'DEVICE_PLATFORM_IOS');
    await push.register('op2', 'DEVICE_PLATFORM_IOS');
    // Asked by validate_only FCM finds nothing wrong with its token.
    await push.fcm.rule({ token: hopeless, error: 'INVALID_ARGUMENT', validateOnly: false });
    const sharedUntil = async (what: string, until: () => Promise<boolean>) => {
      const step = async () => {
        await push.create(['op1', 'op2']);
        return until();
      };
      await untilTrue(step, { what, intervalMs: 300, timeoutMs: 60_000 });
    };
    const refusedByOwnFault = `refused_since IS NOT NULL AND ${WAITS}`;
    await sharedUntil('it is refused', async () => (await refusalsOf(push, refusedByOwnFault)).length === 1);
    await age(push);
    await sharedUntil('it is gone', async () => (await devicesOf(push, 'op1')) === 0);
    assert.equal(await devicesOf(push, 'op2'), 1);
    assert.match(await metricsOf(role), /ssom_push_devices_hopeless_total\{[^}]*\} 1\b/);
  });

  const ofPlatform = {
    'an expired key of APNs': { error: 'THIRD_PARTY_AUTH_ERROR' },
    'INVALID_ARGUMENT, whatever the message': { error: 'INVALID_ARGUMENT' },
    'a payload that is wrong for APNs alone': { error: 'INVALID_ARGUMENT', validateOnly: false },
  } as const;
  for (const [what, rule] of Object.entries(ofPlatform)) {
    it(`${what}, for every iPhone while others are served: each waits, none is removed, few dead letters`, async (t) => {
      const push = await startPushCluster(t, { PUSH_DEVICE_REFUSED_MAX_MS: '3600000' });
      const { sql } = push.cluster.store;
      const role = await push.start();
      const phones = [
        await push.register('op1', 'DEVICE_PLATFORM_IOS'),
        await push.register('op1', 'DEVICE_PLATFORM_IOS'),
      ];
      await push.register('op2');
      for (const token of phones) await push.fcm.rule({ token, ...rule });
      for (let count = 0; count < 50; count += 1) await push.create(['op1']);
      await othersAreServed(
        push,
        'op2',
        async () => (await refusalsOf(push, `refusals >= 3 AND ${WAITS}`)).length === 2,
      );
      await age(push);
      await othersAreServed(push, 'op2', async () => {
        const left = await refusalsOf(push);
        return left.length < 2 || left.every(({ refusals }) => refusals > AGED);
      });
      // Its outcome is stored after those of the refusals.
      await push.settles(await push.create(['op2']), 'sent');
      assert.equal(await devicesOf(push, 'op1'), 2);
      assert.doesNotMatch(await metricsOf(role), /ssom_push_devices_hopeless_total\{[^}]*\} [1-9]/);
      const letters = (await sql('SELECT 1 FROM dead_letters')).length;
      // Ten of each, and ten that were on their way with the first; none where it is not the message.
      assert.ok(letters <= (what.startsWith('INVALID') ? 0 : 40), `${letters} dead letters`);
    });
  }

  it('a device for which every message is wrong makes ten dead letters in a row, and the rest fails without one', async (t) => {
    const push = await startPushCluster(t);
    const { sql } = push.cluster.store;
    const role = await push.start();
    const token = await push.register('op1');
    const wrong = { token, validateOnly: false, error: 'INVALID_ARGUMENT' } as const;
    const rule = await push.fcm.rule(wrong);
    const first = await push.create(['op1']);
    await push.settles(first, 'failed');
    // What was learned of the device is stored behind the outcome. The role learns of more when the device's wait is
    // over.
    const isStored = async () => (await sql('SELECT 1 FROM devices WHERE refusals_in_row > 0')).length > 0;
    await untilTrue(isStored, { what: 'the refusal is stored' });
    await sql('UPDATE devices SET refusals_in_row = 20');
    const [row] = await push.settles(await push.create(['op1']), 'failed');
    assert.match(row!.error!, /invalid-argument.*no dead letter/);
    assert.equal((await sql('SELECT 1 FROM dead_letters')).length, 1);
    assert.match(await metricsOf(role), /ssom_push_ended_total\{[^}]*reason="failed"[^}]*\} 1\b/);

    // FCM takes one, and the next that is wrong makes a dead letter again.
    await push.fcm.removeRule(rule);
    await push.settles(await push.create(['op1']), 'sent');
    await push.fcm.rule(wrong);
    const [after] = await push.settles(await push.create(['op1']), 'failed');
    assert.doesNotMatch(after!.error!, /no dead letter/);
    assert.equal((await sql('SELECT 1 FROM dead_letters')).length, 2);
  });

  it('a push that fails while others succeed goes to the dead letters; one that fails as all do does not', async (t) => {
    const push = await startPushCluster(t, { ALERT_PROCESSING_MAX_RETRY_ATTEMPTS: '3' });
    const role = await push.start();
    const bad = await push.register('op1');
    const good = await push.register('op2');
    await push.fcm.rule({ token: bad, error: 'INTERNAL' });
    const failing = await push.create(['op1']);
    // Others come all the while.
    await untilTrue(
      async () => {
        await push.create(['op2']);
        return (await push.rows(failing))[0]?.state === 'failed';
      },
      { what: 'it is given up', intervalMs: 100, timeoutMs: 40_000 },
    );
    const [row] = await push.rows(failing);
    assert.equal(row!.strikes, 2);
    assert.match(row!.error!, /^messaging\/internal-error/);
    const [letter] = await letters(push);
    const headers = Object.assign({}, ...letter!.headers) as Record<string, Buffer>;
    assert.equal(String(headers['dlq-error-class']), 'exhausted');

    await untilTrue(
      async () => (await push.cluster.store.sql(`SELECT 1 FROM push_deliveries WHERE due_at IS NOT NULL`)).length === 0,
      {
        what: 'all others are sent',
        timeoutMs: 30_000,
      },
    );
    await push.fcm.rule({ error: 'INTERNAL' });
    const all = [await push.create(['op2']), await push.create(['op2']), await push.create(['op2'])];
    const before = (await push.fcm.counts()).requests;
    await untilTrue(async () => (await push.fcm.counts()).requests >= before + 12, {
      what: 'many tries',
      timeoutMs: 40_000,
    });
    for (const alertId of all) assert.equal((await push.rows(alertId))[0]!.strikes, 0);
    assert.equal((await push.cluster.store.sql('SELECT 1 FROM dead_letters')).length, 1);
    await push.fcm.reset();
    await push.receives(good, 3);
    await push.settles(all[2]!, 'sent');
    assert.equal(await breakerOf(role), '0');
  });

  it('what was accepted unheard is sent again under the same collapse key', async (t) => {
    const push = await startPushCluster(t);
    await push.start();
    for (const rule of [
      { cut: 'unheard' },
      { cut: 'before' },
      { malformed: 'not-json' },
      { malformed: 'empty' },
    ] as const) {
      const token = await push.register('op1');
      await push.fcm.rule({ token, ...rule, times: 1 });
      const alertId = await push.create(['op1']);
      const accepted = rule.cut === 'before' ? 1 : 2;
      await untilTrue(async () => (await acceptedBy(push.fcm, token)).length >= accepted, {
        what: `${JSON.stringify(rule)}: sent again`,
        timeoutMs: 30_000,
      });
      const keys = new Set((await acceptedBy(push.fcm, token)).map(({ collapse }) => collapse.collapseKey));
      assert.deepEqual([...keys], [`alert-${alertId}`]);
      await push.api.call('UnregisterDevice', { token }, { user: 'op1' });
    }
  });

  it('an answer that makes no sense costs no device and no push', async (t) => {
    const push = await startPushCluster(t);
    await push.start();
    const tokens = { html404: newToken(), html400: newToken(), html502: newToken() };
    for (const token of Object.values(tokens)) await push.register('op1', 'DEVICE_PLATFORM_ANDROID', token);
    await push.fcm.rule({ token: tokens.html404, malformed: 'html', status: 404, times: 1 });
    await push.fcm.rule({ token: tokens.html400, malformed: 'html', status: 400, times: 1 });
    await push.fcm.rule({ token: tokens.html502, malformed: 'html', times: 1 });
    const alertId = await push.create(['op1']);
    for (const token of Object.values(tokens)) await push.receives(token, 1);
    await push.settles(alertId, 'sent', 'sent', 'sent');
    assert.equal((await push.api.call('ListDevices', {}, { user: 'op1' })).devices.length, 3);
  });

  it('answers that are cut, half or of another length than promised: sent again under the same collapse key', async (t) => {
    const push = await startPushCluster(t);
    await push.start();
    const broken = [
      { cut: 'middle' },
      { malformed: 'half' },
      { malformed: 'length-too-long' },
      { malformed: 'length-too-short' },
      // The answer was whole.
      { cut: 'after' },
    ] as const;
    const tokens: string[] = [];
    for (const rule of broken) {
      const token = await push.register('op1');
      await push.fcm.rule({ token, ...rule, times: 1 });
      tokens.push(token);
    }
    const alertId = await push.create(['op1']);
    await untilTrue(async () => (await push.rows(alertId)).filter(({ state }) => state === 'sent').length === 5, {
      what: 'all are sent',
      // firebase-admin waits 15 s for bytes that were promised.
      timeoutMs: 60_000,
    });
    const accepted = await Promise.all(tokens.map((token) => acceptedBy(push.fcm, token)));
    assert.deepEqual(
      accepted.map(({ length }) => length),
      [2, 2, 2, 2, 1],
    );
    const keys = new Set(accepted.flat().map(({ collapse }) => collapse.collapseKey));
    assert.deepEqual([...keys], [`alert-${alertId}`]);
    assert.equal((await push.api.call('ListDevices', {}, { user: 'op1' })).devices.length, 5);
  });

  it('what FCM accepted while PostgreSQL was away is kept until it is back, and not sent again', async (t) => {
    const push = await startPushCluster(t);
    const role = await push.start();
    const { database } = role.runtime;
    const query = database.query.bind(database);
    let away = false;
    let refused = 0;
    database.query = (statement) => {
      if (!away || statement.name !== 'finish-pushes') return query(statement);
      refused += 1;
      return Promise.reject(Object.assign(new Error('connection terminated'), { code: 'ECONNRESET' }));
    };
    away = true;
    const tokens = [await push.register('op1'), await push.register('op1')];
    const alertId = await push.create(['op1']);
    for (const token of tokens) await push.receives(token, 1);
    await untilTrue(() => refused >= 3, { what: 'it is tried again' });
    assert.deepEqual(
      (await push.rows(alertId)).map(({ state }) => state),
      ['sending', 'sending'],
    );
    away = false;
    await push.settles(alertId, 'sent', 'sent');
    for (const token of tokens) assert.equal((await acceptedBy(push.fcm, token)).length, 1);
  });

  it('an FCM that does not answer delays neither inbox nor the end of the role; what was cut is sent again', async (t) => {
    const push = await startPushCluster(t);
    const role = await push.start();
    const token = await push.register('op1');
    const slow = await push.fcm.rule({ delayMs: 20_000 });
    const alertId = await push.create(['op1']);
    await push.settles(alertId, 'sending');
    const { unreadCount } = await push.api.call('GetUnreadCount', {}, { user: 'op1' });
    assert.equal(unreadCount, 1);
    const started = performance.now();
    await role.stop();
    const ms = performance.now() - started;
    assert.ok(ms < patience(8000), `it took ${Math.round(ms)} ms`);
    const [row] = await push.rows(alertId);
    assert.deepEqual([row!.state, row!.attempts], ['sending', 1]);
    await push.fcm.removeRule(slow);
    await push.start();
    await push.settles(alertId, 'sent');
    assert.ok((await acceptedBy(push.fcm, token)).length >= 1);
  });
});

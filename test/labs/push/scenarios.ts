// What the push role has to bear; test/real/push.test.ts runs them small, run.ts as they are meant.
import assert from 'node:assert/strict';
import { Follower } from '../../support/follower.js';
import { alertFor } from '../../support/people.js';
import { Random } from '../../support/random.js';
import { until } from '../../support/until-true.js';
import type { PushWorld } from './world.js';

export async function threeDevices(world: PushWorld): Promise<void> {
  const people = await world.people(1, 3);
  const alertId = await world.alert(people, 'three devices');
  await world.allSent([alertId], 3);
  for (const received of (await world.accepted(people)).values()) {
    assert.deepEqual(
      received.map(({ collapse }) => collapse.collapseKey),
      [`alert-${alertId}`],
    );
  }
}

export interface KillResult {
  readonly pushes: number;
  readonly kills: number;
  /** Messages that were accepted again after a crash. */
  readonly repeats: number;
}

/** Kills the role at random while deliveries are in flight: each is accepted, repeats have the same collapse key. */
export async function killedInFlight(
  world: PushWorld,
  options: { alerts: number; devices: number; kills: number; seed: number },
): Promise<KillResult> {
  const { alerts, devices, kills, seed } = options;
  const random = new Random(seed);
  const concurrency = 40;
  // It sends before it has joined its group, which a killed member delays.
  const start = () => world.launchPush({ PUSH_CONCURRENCY: String(concurrency) });
  const people = await world.people(10, devices / 10);
  const latency = await world.fcm.rule({ delayMs: 100 });
  let role = start();
  const alertIds = [];
  for (let count = 0; count < alerts; count += 1) alertIds.push(await world.alert(people, `kill ${count}`));
  const pushes = alerts * devices;
  const acceptedSoFar = async () => (await world.fcm.counts()).accepted;
  const before = await acceptedSoFar();
  for (let kill = 1; kill <= kills; kill += 1) {
    // Somewhere within its share of the whole.
    const goal = before + Math.floor((pushes * (kill - random.next())) / (kills + 1));
    await until(`${goal} are accepted`, async () => (await acceptedSoFar()) >= goal, 120_000);
    await role.kill();
    role = start();
  }
  await world.allSent(alertIds, pushes);
  await world.fcm.removeRule(latency);
  assert.equal(await role.stop(), 0);
  let repeats = 0;
  for (const received of (await world.accepted(people)).values()) {
    const keys = received.map(({ collapse }) => collapse.collapseKey);
    assert.deepEqual(new Set(keys), new Set(alertIds.map((alertId) => `alert-${alertId}`)));
    repeats += keys.length - alertIds.length;
  }
  // In flight when it was killed, and those whose outcome was not stored yet: what a few of the writer's turns take.
  assert.ok(repeats <= kills * concurrency * 3, `${repeats} repeats after ${kills} kills`);
  return { pushes, kills, repeats };
}

export interface QuotaResult {
  /** From CreateAlert to FCM's acceptance, of the slowest CRITICAL push of others. */
  readonly othersMs: number;
  /** Requests for the one device that FCM refused. */
  readonly refused: number;
}

/** One device is over its quota: CRITICAL pushes of five others come at once, and in the end it gets all of its own. */
export async function overQuota(
  world: PushWorld,
  options: { perMinute: number; alerts: number },
): Promise<QuotaResult> {
  const { perMinute, alerts } = options;
  const [busy, ...others] = await world.people(6, 1);
  const token = busy!.tokens[0]!;
  const rule = await world.fcm.rule({ token, perMinute, error: 'QUOTA_EXCEEDED' });
  const alertIds: number[] = [];
  for (let count = 0; count < alerts; count += 1) alertIds.push(await world.alert([busy!], `quota ${count}`));
  const refused = async () => (await world.fcm.received(token)).filter(({ status }) => status === 429).length;
  await until('it is over its quota', async () => (await refused()) > 0, 60_000);
  const waits = await Promise.all(
    others.map(async (person) => {
      const started = performance.now();
      await world.alert([person], 'of somebody else', 'ALERT_LEVEL_CRITICAL');
      const accepted = async () => (await world.accepted([person])).get(person.tokens[0]!)!.length > 0;
      await until('it is accepted', accepted, 60_000);
      return performance.now() - started;
    }),
  );
  const othersMs = Math.round(Math.max(...waits));
  assert.ok(othersMs < 3000, `a CRITICAL push of somebody else took ${othersMs} ms`);
  const result = { othersMs, refused: await refused() };
  await world.fcm.removeRule(rule);
  await world.allSent(alertIds, alerts);
  return result;
}

/**
 * 429 and 503, with and without Retry-After, for a third of the requests until there were 80 of them: everything is
 * sent once.
 */
export async function storm(world: PushWorld, devices: number): Promise<void> {
  const people = await world.people(10, devices / 10);
  const times = Math.min(20, devices / 10);
  const rules = [
    await world.fcm.rule({ error: 'QUOTA_EXCEEDED', retryAfter: 1, share: 0.05, times }),
    await world.fcm.rule({ error: 'UNAVAILABLE', retryAfter: 1, share: 0.05, times }),
    await world.fcm.rule({ error: 'QUOTA_EXCEEDED', share: 0.1, times }),
    await world.fcm.rule({ error: 'UNAVAILABLE', share: 0.1, times }),
  ];
  const alertId = await world.alert(people, 'storm');
  await world.allSent([alertId], devices, 240_000);
  for (const rule of rules) await world.fcm.removeRule(rule);
  for (const [token, received] of await world.accepted(people)) assert.equal(received.length, 1, token);
}

/** Dead tokens are gone after one alert, and the living ones get it. */
export async function deadTokens(world: PushWorld, dead: number): Promise<void> {
  const people = await world.people(10, dead / 10 + 1);
  await world.fcm.setTokens(
    'dead',
    people.flatMap(({ tokens }) => tokens.slice(1)),
  );
  const alertId = await world.alert(people, 'dead tokens');
  const left = async () => {
    const { rows } = await world.database.query<{ token: string }>(
      'SELECT token FROM devices WHERE user_id = ANY($1::text[])',
      [people.map(({ userId }) => userId)],
    );
    return rows.map(({ token }) => token);
  };
  await until('the dead tokens are gone', async () => (await left()).length <= people.length, 60_000);
  assert.deepEqual(new Set(await left()), new Set(people.map(({ tokens }) => tokens[0])));
  assert.deepEqual(await world.states([alertId]), { failed: dead, sent: people.length });
}

/** While FCM does not answer at all an alert is in the inbox and on the stream as soon as ever; then it is pushed. */
export async function outage(world: PushWorld, alerts: number): Promise<{ beforeMs: number; duringMs: number }> {
  const people = await world.people(1, 20);
  const { userId } = people[0]!;
  const follower = await new Follower(world.client, userId, 'during an outage of FCM').live();
  const alertIds: number[] = [];
  let seen = 0;
  const measure = async () => {
    const times = [];
    for (let count = 0; count < alerts; count += 1) {
      const started = performance.now();
      const { alert } = await world.client.createAlert(alertFor([userId], 'outage', { level: 'ALERT_LEVEL_ERROR' }));
      alertIds.push(alert!.alertId);
      seen += 1;
      await follower.seen(seen);
      times.push(performance.now() - started);
    }
    return times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
  };
  const beforeMs = await measure();
  const rules = [await world.fcm.rule({ delayMs: 3000, share: 0.5 }), await world.fcm.rule({ error: 'UNAVAILABLE' })];
  const duringMs = await measure();
  for (const rule of rules) await world.fcm.removeRule(rule);
  await follower.close();
  // Ten times is noise on a busy machine; a wait for FCM would be seconds.
  assert.ok(duringMs < Math.max(1000, beforeMs * 10), `${duringMs} ms during the outage, ${beforeMs} before`);
  await world.allSent(alertIds, alertIds.length * 20);
  return { beforeMs, duringMs };
}

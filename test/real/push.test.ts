import { after, before, describe, it } from 'node:test';
import { deadTokens, killedInFlight, outage, overQuota, storm, threeDevices } from '../labs/push/scenarios.js';
import { PushWorld } from '../labs/push/world.js';
import type { RoleProcess } from '../support/role-process.js';
import { whySkip } from '../support/stack.js';

describe('push on the real stack', { skip: whySkip() }, () => {
  let world: PushWorld;
  let role: RoleProcess;

  before(async () => {
    world = await PushWorld.start();
  });

  after(() => world?.close());

  it('is killed while deliveries are in flight: each is accepted, repeats have the same collapse key', async () => {
    await killedInFlight(world, { alerts: 4, devices: 100, kills: 2, seed: Date.now() % 1000 });
    role = await world.startPush();
  });

  it('brings an alert for a user with three devices to FCM three times', () => threeDevices(world));

  it('pushes CRITICAL alerts of others at once while one device is over its quota', async () => {
    await overQuota(world, { perMinute: 20, alerts: 40 });
  });

  it('sends everything after a storm of 429 and 503', () => storm(world, 60));

  it('has removed 1,000 dead tokens after one alert', () => deadTokens(world, 1000));

  it('delays neither inbox nor stream while FCM is away', async () => {
    await outage(world, 3);
    await role.stop();
  });
});

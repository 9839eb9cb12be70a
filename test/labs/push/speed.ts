// How fast the role sends, against a server that answers in 50 ms.
import assert from 'node:assert/strict';
import { bareLoop, sampleMessage } from '../../fakes/fcm/bare-loop.js';
import type { Received } from '../../fakes/fcm/control-types.js';
import type { RoleProcess } from '../../support/role-process.js';
import { median } from '../frame/statistics.js';
import type { PushWorld } from './world.js';

const LATENCY_MS = 50;
const ROUNDS = 3;
/** PUSH_CONCURRENCY, as it is by default. */
const PLACES = 100;
/** Few enough that two instances, the server and the stack have processor time to spare. */
const FEW_PLACES = 10;

export interface Speed {
  /** Messages a second: of the bare loop, of the role, and the second over the first. */
  readonly bare: number;
  readonly role: number;
  readonly ratio: number;
  /** With FEW_PLACES each: one instance, two, and the second over the first. */
  readonly one: number;
  readonly two: number;
  readonly scale: number;
}

/** The median of several rounds; the two sides of each comparison take turns. */
export async function measureSpeed(world: PushWorld, say: (line: string) => void): Promise<Speed> {
  const rule = await world.fcm.rule({ delayMs: LATENCY_MS });
  const rounds: Speed[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    const bare = await bareRate(world, 6000, PLACES);
    const role = await roleRate(world, 6000, PLACES, 1);
    const one = await roleRate(world, 1000, FEW_PLACES, 1);
    const two = await roleRate(world, 2000, FEW_PLACES, 2);
    rounds.push({ bare, role, ratio: role / bare, one, two, scale: two / one });
    say(`  round ${round}: ${JSON.stringify(rounds.at(-1))}`);
  }
  await world.fcm.removeRule(rule);
  const of = (name: keyof Speed) => Number(median(rounds.map((each) => each[name])).toFixed(2));
  return { bare: of('bare'), role: of('role'), ratio: of('ratio'), one: of('one'), two: of('two'), scale: of('scale') };
}

async function bareRate({ fcm }: PushWorld, requests: number, concurrency: number): Promise<number> {
  const accessToken = await fcm.accessToken();
  const { url, projectId } = fcm;
  const options = { url, projectId, accessToken, requests, concurrency, message: sampleMessage };
  const { perSecond, failed } = await bareLoop(options);
  assert.equal(failed, 0);
  return perSecond;
}

/** Of so many pushes of one alert, by so many instances that are there when it comes. */
async function roleRate(world: PushWorld, pushes: number, places: number, instances: number): Promise<number> {
  const roles: RoleProcess[] = [];
  for (let count = 0; count < instances; count += 1)
    roles.push(await world.startPush({ PUSH_CONCURRENCY: String(places) }));
  const people = await world.people(20, pushes / 20);
  const alertId = await world.alert(people, 'speed');
  await world.allSent([alertId], pushes);
  for (const role of roles) await role.stop();
  const times = [...(await world.accepted(people)).values()].flat().map(({ at }: Received) => at);
  return steadyRate(times.sort((a, b) => a - b));
}

/** A second, between the first tenth and the last: the start and the end of it are not the role's speed. */
function steadyRate(times: readonly number[]): number {
  const [from, to] = [Math.floor(times.length / 10), Math.floor((times.length * 9) / 10)];
  return ((to - from) * 1000) / (times[to]! - times[from]!);
}

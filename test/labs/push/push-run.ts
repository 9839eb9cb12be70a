import type { Report, Say } from '../frame/command-line.js';
import { deadTokens, killedInFlight, outage, overQuota, storm, threeDevices } from './scenarios.js';
import { measureSpeed } from './speed.js';
import { PushWorld } from './world.js';

type Part = (world: PushWorld, seed: number, say: Say) => Promise<unknown>;

/** A role of its own each, since they start it with settings of their own. */
const BEFORE: Readonly<Record<string, Part>> = {
  kills: (world, seed) => killedInFlight(world, { alerts: 10, devices: 500, kills: 10, seed }),
};
/** All on one role that goes on running. */
const DURING: Readonly<Record<string, Part>> = {
  devices: threeDevices,
  quota: (world) => overQuota(world, { perMinute: 240, alerts: 300 }),
  storm: (world) => storm(world, 5000),
  dead: (world) => deadTokens(world, 1000),
  outage: (world) => outage(world, 50),
};
const AFTERWARDS: Readonly<Record<string, Part>> = {
  speed: (world, _, say) => measureSpeed(world, say),
};
export const PARTS = [BEFORE, DURING, AFTERWARDS].flatMap((parts) => Object.keys(parts));

/** Runs the parts in order until one finds something wrong. */
export async function runPush(chosen: readonly string[], seed: number, say: Say): Promise<Report> {
  const results: Record<string, unknown> = {};
  const world = await PushWorld.start();
  const run = async (parts: Readonly<Record<string, Part>>) => {
    for (const [name, part] of Object.entries(parts)) {
      if (!chosen.includes(name)) continue;
      say(name);
      results[name] = (await part(world, seed, say)) ?? 'held';
      say(`${name}: ${JSON.stringify(results[name])}`);
    }
  };
  let wrong: string | undefined;
  try {
    await run(BEFORE);
    if (chosen.some((name) => name in DURING)) {
      const role = await world.startPush();
      await run(DURING);
      await role.stop();
    }
    await run(AFTERWARDS);
  } catch (error) {
    wrong = (error as Error).stack ?? String(error);
  } finally {
    await world.close();
  }
  const lines = Object.entries(results).map(([name, result]) => `${name}: ${JSON.stringify(result)}`);
  return {
    fine: wrong === undefined,
    text: [...lines, ...(wrong === undefined ? [] : [`WRONG ${wrong}`])].join('\n'),
    json: { seed, ...results, ...(wrong === undefined ? {} : { wrong }) },
  };
}

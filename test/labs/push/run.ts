// `npm run proof -- push`: what test/real/push.test.ts has in small, and the role's speed.
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { deadTokens, killedInFlight, outage, overQuota, storm, threeDevices } from './scenarios.js';
import { measureSpeed } from './speed.js';
import { PushWorld } from './world.js';

const PARTS = ['kills', 'quota', 'storm', 'dead', 'outage', 'speed'];

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  process.stdout.write(`npm run push -- [--only ${PARTS.join(',')}] [--json FILE]\n`);
  process.exit();
}
const wanted = new Set(values.only?.split(',') ?? PARTS);
const unknown = [...wanted].filter((name) => !PARTS.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`there is no part ${unknown.join(', ')}; there are ${PARTS.join(', ')}\n`);
  process.exit(1);
}
const say = (line: string) => process.stdout.write(`${line}\n`);

const world = await PushWorld.start();
const results: Record<string, unknown> = {};
const part = async (name: string, work: () => Promise<unknown>) => {
  if (!wanted.has(name)) return;
  const started = performance.now();
  results[name] = (await work()) ?? 'held';
  say(`${name}: ${JSON.stringify(results[name])} (${Math.round((performance.now() - started) / 1000)} s)`);
};
try {
  await part('kills', () =>
    killedInFlight(world, { alerts: 10, devices: 500, kills: 10, seed: Math.floor(Math.random() * 1e6) }),
  );
  const role = await world.startPush();
  await threeDevices(world);
  await part('quota', () => overQuota(world, { perMinute: 240, alerts: 300 }));
  await part('storm', () => storm(world, 5000));
  await part('dead', () => deadTokens(world, 1000));
  await part('outage', () => outage(world, 50));
  await role.stop();
  await part('speed', () => measureSpeed(world, say));
  if (values.json !== undefined) await writeFile(values.json, JSON.stringify(results, null, 2));
} finally {
  await world.close();
}

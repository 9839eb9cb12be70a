import { brokenCall, CALLS } from './http2-calls.js';
import { createProbe } from './probe.js';
import type { Random } from './random.js';
import { brokenConnection, CONNECTIONS } from './raw-connections.js';
import type { World } from './world.js';

const PART = 'broken frames';
const CONCURRENCY = 8;
const PROBE_EVERY = 50;

/** Feeds both gRPC ports what no gRPC library sends, and well-formed calls in between. */
export async function fuzzFrames(world: World, random: Random, inputs: number): Promise<void> {
  const { report } = world;
  const addresses = await Promise.all(
    [world.alertApi, world.gateway].map(async (role) => (await role.listening()).grpc),
  );
  let sent = 0;
  const worker = async () => {
    while (sent < inputs) {
      sent += 1;
      const address = random.pick(addresses);
      // A connection of its own costs more than a call.
      const calls = random.chance(0.7);
      const kind = random.pick(Object.keys(calls ? CALLS : CONNECTIONS));
      const { outcome, wrong, input } = await (calls ? brokenCall : brokenConnection)(kind, address, random);
      report.input(PART, kind, outcome);
      if (wrong !== undefined) report.fail(PART, `${kind}: ${wrong}`, input);
      if (sent % PROBE_EVERY === 0) await createProbe(world, random);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}

import { until } from '../../support/until-true.js';
import { fuzzFrames } from './frames.js';
import { fuzzGrpc } from './grpc.js';
import { KafkaFuzz } from './kafka.js';
import { Random } from './random.js';
import { fuzzRegistry } from './registry.js';
import { Report } from './report.js';
import { type Footprint, World } from './world.js';

/** How the inputs are shared out. */
const SHARES = { grpc: 0.6, frames: 0.05, kafka: 0.3, registry: 0.05 } as const;
export type Part = keyof typeof SHARES;
export const PARTS = Object.keys(SHARES) as readonly Part[];

export interface FuzzOptions {
  readonly inputs: number;
  readonly seed: number;
  readonly parts: readonly Part[];
  /** All parts in turn, so often; memory is compared between the end of the first round and that of the last. */
  readonly rounds: number;
  readonly say: (line: string) => void;
}

export interface FuzzResult {
  readonly report: Report;
  readonly seconds: number;
  /** After each round, by role. */
  readonly footprints: readonly ReadonlyMap<string, Footprint>[];
}

const SETTLE_MS = 120_000;

/**
 * What a role may refer to more at the end than after the first round, which brings it to its working size: compiled
 * code, pools, full caches. 0.5 KiB kept for each of the 75,000 inputs of the rounds behind it would be 37 MiB.
 */
const LIVE_GROWTH_MIB = 24;
/**
 * RSS wanders more: what V8 and malloc keep for themselves depends on the last bursts, of messages of 1 MiB and the
 * like.
 */
const RSS_GROWTH_MIB = 64;
/** The pool of connections to PostgreSQL grows under load, and Kafka's own come and go. */
const SOCKETS_MORE = 16;
/** A peer that went away in the middle of its frames is given up when it does not answer a ping: after 60 and 20 s. */
const SOCKETS_MS = 100_000;

/** Feeds the real stack with seeded inputs and reports what became of them. Whatever is wrong is in the report. */
export async function fuzz({ inputs, seed, parts, rounds, say }: FuzzOptions): Promise<FuzzResult> {
  const report = new Report();
  const started = performance.now();
  const world = await World.start(report);
  const socketsBefore = world.sockets();
  const footprints: Map<string, Footprint>[] = [];
  const seconds = () => (performance.now() - started) / 1000;
  try {
    const kafka = await KafkaFuzz.open(world);
    const random = new Random(seed);
    const share = parts.reduce((sum, part) => sum + SHARES[part], 0);
    const run: Record<Part, (random: Random, count: number) => Promise<void>> = {
      grpc: (own, count) => fuzzGrpc(world, own, count),
      frames: (own, count) => fuzzFrames(world, own, count),
      kafka: (own, count) => kafka.run(own, count),
      registry: (own, count) => fuzzRegistry(world, own, count),
    };
    for (let round = 1; round <= rounds; round += 1) {
      for (const part of parts) {
        await run[part](random.fork(), Math.ceil((inputs * SHARES[part]) / share / rounds));
        say(`round ${round}, ${part} fed`);
      }
      await world.settled(SETTLE_MS);
      await kafka.settle();
      world.checkProcesses();
      // One alone could be compared with nothing.
      if (rounds > 1) footprints.push(await world.footprints());
      say(`round ${round} checked, ${report.inputs} inputs, ${report.failed} failures`);
    }
    await kafka.close();
    compare(report, footprints);
    if (rounds > 1) await socketsClosed(world, socketsBefore);
  } catch (error) {
    report.fail('the fuzz itself', (error as Error).message, (error as Error).stack);
  } finally {
    world.checkProcesses();
    await world.stop();
  }
  return { report, seconds: seconds(), footprints };
}

function compare(report: Report, footprints: readonly ReadonlyMap<string, Footprint>[]): void {
  for (const [role, last] of footprints.at(-1) ?? []) {
    const before = footprints[0]!.get(role)!;
    const live = last.liveMib - before.liveMib;
    if (live > LIVE_GROWTH_MIB) report.fail('memory', `${role} refers to ${live.toFixed(0)} MiB more`, before);
    const rss = last.rssMib - before.rssMib;
    if (rss > RSS_GROWTH_MIB) report.fail('memory', `${role} holds ${rss.toFixed(0)} MiB more`, before);
    if (last.openStreams > before.openStreams)
      report.fail('streams', `${role} holds ${last.openStreams} streams, ${before.openStreams} before`, '');
  }
}

/** Every role has let go of the connections that were opened to it. */
async function socketsClosed(world: World, before: ReadonlyMap<string, number>): Promise<void> {
  const held = () => [...world.sockets()].filter(([role, count]) => count > before.get(role)! + SOCKETS_MORE);
  await until('the sockets are closed', () => held().length === 0, SOCKETS_MS).catch(() => {
    for (const [role, count] of held())
      world.report.fail('connections', `${role} holds ${count} sockets, ${before.get(role)} at first`, '');
  });
}

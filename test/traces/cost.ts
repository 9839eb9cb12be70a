// What tracing costs in throughput: the same load on the same machine, with each way to trace in turn.
import { ROLES, type Bench, type Deployment, type Scenario } from '../bench/bench.js';
import { Figures, type Limit } from '../bench/figures.js';
import type { LoadCommands, PumpOptions } from '../bench/load-client.js';
import { CpuMeter } from '../bench/processes.js';
import type { Worker } from '../bench/worker.js';
import { wait } from '../../services/lib/retry.js';
import { Collectors } from './collectors.js';

/** Node and the JVM compile what is hot. */
const WARM_UP_MS = 8000;
const DRAIN_TIMEOUT_MS = 60_000;

interface Way {
  readonly name: string;
  variables(urls: Collectors['urls']): Record<string, string>;
  /** The most that it may cost, in percent of the throughput. */
  readonly most?: number;
}

const to = (url: string) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url });

/** Whatever records everything may cost the same, whether or not somebody takes it. */
const WAYS: readonly Way[] = [
  { name: 'off', variables: () => ({}) },
  { name: 'everything', variables: ({ works }) => to(works), most: 25 },
  {
    name: 'ratio 10 %',
    variables: ({ works }) => ({
      ...to(works),
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.1',
    }),
    most: 10,
  },
  { name: 'collector down', variables: ({ down }) => to(down), most: 25 },
  { name: 'collector hangs', variables: ({ hangs }) => to(hangs), most: 25 },
  { name: 'off again', variables: () => ({}) },
];

interface Load {
  readonly name: string;
  readonly unit: string;
  readonly pump: Omit<PumpOptions, 'address'>;
}

/** Tracing costs most where an alert has one recipient: its spans are shared by nobody. */
const LOADS: readonly Load[] = [
  { name: 'single', unit: 'alerts/s', pump: { to: 'one', perCall: 1, concurrency: 64, window: 2000 } },
  { name: 'broadcast', unit: 'user-alerts/s', pump: { to: 'all', perCall: 1, concurrency: 8, window: 30 } },
];

interface Measured {
  readonly rate: number;
  /** Milliseconds of CPU of the five roles for 1,000 alerts or user-alerts. */
  readonly rolesMs: number;
}

export const cost: Scenario = {
  name: 'cost',
  async run(bench, figures) {
    const collectors = await Collectors.start(bench.dir);
    try {
      await measureCost(bench, collectors, figures);
    } finally {
      await collectors.close();
    }
  },
};

/** Measures every way in each round, forwards and backwards in turn, each with roles and a database of its own. */
async function measureCost(bench: Bench, collectors: Collectors, figures: Figures): Promise<void> {
  bench.log('  warm-up, which does not count: Kafka and PostgreSQL get faster for a while');
  await measureWay(bench, collectors, new Figures(), WAYS[0]!);
  await bench.rounds('traces', async (round) => {
    const measured = new Map<string, Measured>();
    for (const way of round % 2 === 1 ? WAYS : WAYS.toReversed()) {
      bench.signal.throwIfAborted();
      for (const [load, result] of await measureWay(bench, collectors, figures, way))
        measured.set(`${load} ${way.name}`, result);
    }
    for (const load of LOADS) note(figures, load, measured);
    const costs = LOADS.map(({ name }) => `${name} ${costOf(measured, name, 'everything').toFixed(0)} %`);
    return `everything costs ${costs.join(', ')}`;
  });
}

async function measureWay(
  bench: Bench,
  collectors: Collectors,
  figures: Figures,
  way: Way,
): Promise<Map<string, Measured>> {
  const { environment } = await bench.deploy('traces');
  const deployment = bench.deployOn(way.name.replaceAll(/\W+/g, '-').replace(/-$/, ''), {
    ...environment,
    ...way.variables(collectors.urls),
  });
  await deployment.start(...ROLES);
  const users = await deployment.loadDirectory();
  const client = bench.worker<LoadCommands>('load-client');
  await client.call('openStreams', { address: deployment.streamGateway, users });
  const results = new Map<string, Measured>();
  for (const load of LOADS) {
    const result = await measureLoad(bench, collectors, figures, { way, load, deployment, client });
    bench.log(`    ${load.name}, ${way.name}: ${Math.round(result.rate)} ${load.unit}`);
    results.set(load.name, result);
  }
  await bench.finish(deployment, figures);
  return results;
}

interface Measurement {
  readonly way: Way;
  readonly load: Load;
  readonly deployment: Deployment;
  readonly client: Worker<LoadCommands>;
}

async function measureLoad(
  bench: Bench,
  collectors: Collectors,
  figures: Figures,
  { way, load, deployment, client }: Measurement,
): Promise<Measured> {
  const { seconds } = bench.options;
  const spansBefore = await spansOf(deployment);
  await client.call('startPump', { address: deployment.alertApi, ...load.pump });
  await wait(Math.min(WARM_UP_MS, seconds * 1000), bench.signal);
  const meter = new CpuMeter(new Map([...deployment.pids(), ...collectors.pids(), ['load client', client.pid]]));
  const before = await client.call('pumpState', undefined);
  await wait(seconds * 1000, bench.signal);
  const after = await client.call('pumpState', undefined);
  const { ms, elapsedMs } = meter.read();
  const changes = after.received - before.received;
  const things = load.unit.replace('/s', '');
  const title = `CPU of ${load.name}, milliseconds per 1,000 ${things}`;
  for (const [process, used] of ms) figures.cell(title, process, way.name, (used / changes) * 1000);
  const end = await client.call('stopPump', { timeoutMs: DRAIN_TIMEOUT_MS });
  if (end.received !== end.expected || end.failed > 0 || end.streamErrors > 0) {
    figures.note(
      `${load.name}, ${way.name}: ${end.received} changes came of ${end.expected}; ${end.failed} alerts failed, ` +
        `${end.streamErrors} streams ended; last error: ${end.lastError || 'none'}`,
    );
  }
  const spans = await spansOf(deployment);
  const spansTitle = `Spans of ${load.name}, of 1,000 ${things}`;
  for (const name of ['ended', 'dropped'] as const)
    figures.cell(spansTitle, name, way.name, ((spans[name] - spansBefore[name]) / end.received) * 1000);
  const rolesMs = ROLES.reduce((sum, role) => sum + ms.get(role)!, 0);
  return { rate: (changes / elapsedMs) * 1000, rolesMs: (rolesMs / changes) * 1000 };
}

/** What became of the spans of all roles so far. */
async function spansOf(deployment: Deployment): Promise<{ ended: number; dropped: number }> {
  const sum = async (metric: string) => {
    const counts = await Promise.all(ROLES.map((role) => deployment.role(role).metric(metric)));
    return counts.reduce((total, count) => total + count, 0);
  };
  const [ended, dropped] = await Promise.all([
    sum('ssom_traces_spans_ended_total'),
    sum('ssom_traces_spans_dropped_total'),
  ]);
  return { ended, dropped };
}

/** Throughput lost in percent, against the mean of both measurements without tracing. */
function costOf(measured: ReadonlyMap<string, Measured>, load: string, way: string): number {
  const rate = (name: string) => measured.get(`${load} ${name}`)!.rate;
  return (1 - rate(way) / ((rate('off') + rate('off again')) / 2)) * 100;
}

function note(figures: Figures, { name, unit }: Load, measured: ReadonlyMap<string, Measured>): void {
  for (const way of WAYS) figures.add(name, way.name, unit, measured.get(`${name} ${way.name}`)!.rate);
  const off = (measured.get(`${name} off`)!.rolesMs + measured.get(`${name} off again`)!.rolesMs) / 2;
  for (const { name: way, most } of WAYS) {
    if (most === undefined) continue;
    const limit: Limit = { kind: 'bound', at: 'most', value: most };
    figures.add(name, `${way}: throughput lost`, '%', costOf(measured, name, way), limit);
  }
  for (const { name: way, most } of WAYS) {
    if (most === undefined) continue;
    const more = (measured.get(`${name} ${way}`)!.rolesMs / off - 1) * 100;
    figures.add(name, `${way}: more CPU in the roles`, '%', more);
  }
  const [first, again] = ['off', 'off again'].map((way) => measured.get(`${name} ${way}`)!.rate) as [number, number];
  figures.add(name, 'noise: between off and off again', '%', (Math.abs(first - again) / ((first + again) / 2)) * 100);
}

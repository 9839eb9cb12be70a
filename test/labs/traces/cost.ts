// What tracing costs in throughput: the same load on the same machine, with and without it in turn.
import { ROLE_NAMES } from '../../../services/domain/role-names.js';
import { wait } from '../../../services/lib/retry.js';
import type { LoadCommands, PumpOptions } from '../bench/load-client.js';
import type { Bench, Scenario } from '../frame/bench.js';
import type { Deployment } from '../frame/deployment.js';
import type { Figures, Limit } from '../frame/figures.js';
import { CpuMeter } from '../frame/processes.js';
import type { Worker } from '../frame/worker.js';
import { Collectors } from './collectors.js';

/** Node and the JVM compile what is hot. */
const WARM_UP_MS = 8000;
/** Turns of each side; a measurement is that many slices together. */
const SLICES = 4;
/** Until the window of a slice is full and its batches have their size. */
const SETTLE_MS = 1000;
const DRAIN_TIMEOUT_MS = 60_000;

interface Way {
  /** Also of the part that measures it. */
  readonly name: string;
  variables(urls: Collectors['urls']): Record<string, string>;
  /** The most that it may cost, in percent of the throughput. */
  readonly most?: number;
}

const to = (url: string) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url });

/** Whatever records everything may cost the same, whether or not somebody takes it. */
const WAYS: readonly Way[] = [
  { name: 'everything', variables: ({ works }) => to(works), most: 25 },
  {
    // One in ten.
    name: 'ratio',
    variables: ({ works }) => ({
      ...to(works),
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.1',
    }),
    most: 10,
  },
  { name: 'collector-down', variables: ({ down }) => to(down), most: 25 },
  { name: 'collector-hangs', variables: ({ hangs }) => to(hangs), most: 25 },
  // What lies between the two is noise.
  { name: 'off-again', variables: () => ({}) },
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

/** One part for each way. */
export const COSTS: readonly Scenario[] = WAYS.map((way) => ({
  name: way.name,
  async run(bench, figures) {
    const collectors = await Collectors.start(bench.dir);
    try {
      await bench.rounds(way.name, async () => {
        const costs = await measurePair(bench, collectors, figures, way);
        return `costs ${costs.map((cost, index) => `${LOADS[index]!.name} ${cost.toFixed(1)} %`).join(', ')}`;
      });
    } finally {
      await collectors.close();
    }
  },
}));

/** Where one way is measured: its roles, and a client with a stream for each user. */
interface Side {
  readonly way: string;
  readonly deployment: Deployment;
  readonly client: Worker<LoadCommands>;
}

/**
 * Measures one way beside another that traces nothing. Both run all the time, each with a database and topics of its
 * own, and the load is on one of them at a time, for slices in turn (ABBA): what the machine does otherwise hits both
 * alike.
 * @returns the throughput lost in percent, for each load
 */
async function measurePair(bench: Bench, collectors: Collectors, figures: Figures, way: Way): Promise<number[]> {
  const off = await startSide(bench, 'off', {});
  const on = await startSide(bench, way.name, way.variables(collectors.urls));
  const costs: number[] = [];
  for (const load of LOADS) {
    const slices = new Map<Side, Slice[]>([
      [off, []],
      [on, []],
    ]);
    for (const side of slices.keys()) await runSlice(bench, collectors, figures, { side, load, ms: WARM_UP_MS });
    const ms = Math.max(1000, (bench.options.seconds * 1000) / SLICES);
    for (let turn = 0; turn < SLICES; turn += 1) {
      for (const side of turn % 2 === 0 ? [off, on] : [on, off]) {
        slices.get(side)!.push(await runSlice(bench, collectors, figures, { side, load, ms }));
      }
    }
    costs.push(note(figures, { load, way, off: total(slices.get(off)!), on: total(slices.get(on)!) }));
  }
  await bench.stopWorkers();
  for (const { deployment } of [on, off]) await bench.finish(deployment, figures);
  return costs;
}

async function startSide(bench: Bench, way: string, variables: Record<string, string>): Promise<Side> {
  const { environment } = await bench.deploy('traces');
  const deployment = bench.deployOn(way, { ...environment, ...variables });
  await deployment.start(...ROLE_NAMES);
  const users = await deployment.loadDirectory();
  const client = bench.worker<LoadCommands>('bench/load-client');
  await client.call('openStreams', { address: deployment.streamGateway, users });
  return { way, deployment, client };
}

/** What one load did on one side, in one slice or in several. */
interface Slice {
  readonly changes: number;
  readonly elapsedMs: number;
  /** Milliseconds of CPU, by process. */
  readonly cpu: ReadonlyMap<string, number>;
  readonly ended: number;
  readonly dropped: number;
  /** Changes from its begin to its end, those before and behind the measurement included: of these the spans are. */
  readonly received: number;
}

interface SliceOptions {
  readonly side: Side;
  readonly load: Load;
  readonly ms: number;
}

async function runSlice(
  bench: Bench,
  collectors: Collectors,
  figures: Figures,
  { side, load, ms }: SliceOptions,
): Promise<Slice> {
  const { way, deployment, client } = side;
  const spansBefore = await spansOf(deployment);
  await client.call('startPump', { address: deployment.alertApi, ...load.pump });
  await wait(SETTLE_MS);
  const meter = new CpuMeter(new Map([...deployment.pids(), ...collectors.pids(), ['load client', client.pid]]));
  const before = await client.call('pumpState', undefined);
  await wait(ms);
  const after = await client.call('pumpState', undefined);
  const { ms: cpu, elapsedMs } = meter.read();
  const end = await client.call('stopPump', { timeoutMs: DRAIN_TIMEOUT_MS });
  if (end.received !== end.expected || end.failed > 0 || end.streamErrors > 0) {
    figures.note(
      `${load.name}, ${way}: ${end.received} changes came of ${end.expected}; ${end.failed} alerts failed, ` +
        `${end.streamErrors} streams ended; last error: ${end.lastError || 'none'}`,
    );
  }
  const spans = await spansOf(deployment);
  return {
    changes: after.received - before.received,
    elapsedMs,
    cpu,
    ended: spans.ended - spansBefore.ended,
    dropped: spans.dropped - spansBefore.dropped,
    received: end.received,
  };
}

function total(slices: readonly Slice[]): Slice {
  return slices.reduce((sum, slice) => ({
    changes: sum.changes + slice.changes,
    elapsedMs: sum.elapsedMs + slice.elapsedMs,
    cpu: new Map([...sum.cpu].map(([process, ms]) => [process, ms + slice.cpu.get(process)!])),
    ended: sum.ended + slice.ended,
    dropped: sum.dropped + slice.dropped,
    received: sum.received + slice.received,
  }));
}

/** What became of the spans of all roles so far. */
async function spansOf(deployment: Deployment): Promise<{ ended: number; dropped: number }> {
  const sum = async (metric: string) => {
    const counts = await Promise.all(ROLE_NAMES.map((role) => deployment.role(role).metric(metric)));
    return counts.reduce((total, count) => total + count, 0);
  };
  const [ended, dropped] = await Promise.all([
    sum('ssom_traces_spans_ended_total'),
    sum('ssom_traces_spans_dropped_total'),
  ]);
  return { ended, dropped };
}

interface Pair {
  readonly load: Load;
  readonly way: Way;
  readonly off: Slice;
  readonly on: Slice;
}

/** Notes what a way cost. @returns the throughput lost in percent */
function note(figures: Figures, { load: { name, unit }, way, off, on }: Pair): number {
  const rate = ({ changes, elapsedMs }: Slice) => (changes / elapsedMs) * 1000;
  const things = unit.replace('/s', '');
  for (const [column, { cpu, changes, ended, dropped, received }] of [
    ['off', off],
    [way.name, on],
  ] as const) {
    const cpuTitle = `CPU of ${name}, milliseconds per 1,000 ${things}`;
    for (const [process, ms] of cpu) figures.cell(cpuTitle, process, column, (ms / changes) * 1000);
    const spansTitle = `Spans of ${name}, of 1,000 ${things}`;
    figures.cell(spansTitle, 'ended', column, (ended / received) * 1000);
    figures.cell(spansTitle, 'dropped', column, (dropped / received) * 1000);
  }
  const lost = (1 - rate(on) / rate(off)) * 100;
  const rolesMs = ({ cpu, changes }: Slice) => ROLE_NAMES.reduce((sum, role) => sum + cpu.get(role)!, 0) / changes;
  const limit: Limit | undefined = way.most === undefined ? undefined : { kind: 'bound', at: 'most', value: way.most };
  figures.add(name, 'off', unit, rate(off));
  figures.add(name, way.name, unit, rate(on));
  figures.add(name, `${way.name}: throughput lost`, '%', lost, limit);
  figures.add(name, `${way.name}: more CPU in the roles`, '%', (rolesMs(on) / rolesMs(off) - 1) * 100);
  return lost;
}

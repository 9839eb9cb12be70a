import { ROLE_NAMES } from '../../../../services/domain/role-names.js';
import { wait } from '../../../../services/lib/retry.js';
import type { Bench, Scenario } from '../../frame/bench.js';
import type { Deployment } from '../../frame/deployment.js';
import type { Figures, Limit } from '../../frame/figures.js';
import { CPU } from '../../frame/figures.js';
import { CpuMeter } from '../../frame/processes.js';
import type { LoadCommands, PumpOptions } from '../load-client.js';

/** Node and the JVM compile what is hot. */
const WARM_UP_MS = 8000;
const DRAIN_TIMEOUT_MS = 60_000;
/** Counters that stay at 0 while nothing goes wrong; what they are otherwise is noted. */
const SUSPICIOUS = [
  ['stream-gateway', 'ssom_stream_gaps_total', 'missing numbers that streams noticed'],
  ['stream-gateway', 'ssom_stream_healed_total', 'streams that had to be healed'],
  ['delivery', 'ssom_delivery_failures_total', 'failed delivery batches'],
] as const;

interface Throughput {
  readonly name: string;
  readonly figure: string;
  readonly unit: string;
  readonly limit: Limit;
  readonly pump: Omit<PumpOptions, 'address'>;
}

/**
 * Creates alerts back to back, as many on their way as the window allows, and counts what comes over the streams of all
 * users. Creating and counting never stop between rounds: what is created in excess would not come.
 */
function throughput({ name, figure, unit, limit, pump }: Throughput): Scenario {
  return {
    name,
    async run(bench: Bench, figures: Figures) {
      const deployment = await bench.deploy(name);
      await deployment.start(...ROLE_NAMES);
      const users = await deployment.loadDirectory();
      const client = bench.worker<LoadCommands>('bench/load-client');
      await client.call('openStreams', { address: deployment.streamGateway, users });
      await client.call('startPump', { address: deployment.alertApi, ...pump });
      await wait(Math.min(WARM_UP_MS, bench.options.seconds * 1000));
      const pids = new Map([...deployment.pids(), ['load client', client.pid]]);

      await bench.rounds(name, async () => {
        const before = await client.call('pumpState', undefined);
        const meter = new CpuMeter(pids);
        await wait(bench.options.seconds * 1000);
        const after = await client.call('pumpState', undefined);
        const { ms, others, elapsedMs } = meter.read();
        const changes = after.received - before.received;
        const rate = (changes / elapsedMs) * 1000;
        figures.add(name, figure, unit, rate, limit);
        for (const [process, used] of ms) figures.cell(CPU, process, name, (used / changes) * 1000);
        const share = (ms.get('load client')! / elapsedMs) * 100;
        figures.add(name, 'load client, share of a core', '%', share);
        figures.add(name, 'other processes of the machine, share of a core', '%', (others / elapsedMs) * 100);
        return `${Math.round(rate)} ${unit}, load client ${share.toFixed(0)} % of a core`;
      });

      const end = await client.call('stopPump', { timeoutMs: DRAIN_TIMEOUT_MS });
      if (end.received !== end.expected || end.failed > 0 || end.streamErrors > 0) {
        figures.note(
          `${name}: ${end.received} changes came of ${end.expected}; ${end.failed} alerts failed, ` +
            `${end.streamErrors} streams ended; last error: ${end.lastError || 'none'}`,
        );
      }
      await noteCounters(deployment, figures);
      if (pump.to === 'all') deployment.noteMemory(figures, `after ${name}`);
      await bench.finish(deployment, figures);
    },
  };
}

async function noteCounters(deployment: Deployment, figures: Figures): Promise<void> {
  for (const [role, metric, meaning] of SUSPICIOUS) {
    const count = await deployment.role(role).metric(metric);
    if (count > 0) figures.note(`${deployment.name}: ${count} ${meaning} (${metric})`);
  }
}

/** One alert after the other to all connected users. To 1,000 of them 30 alerts are about a second of work. */
export const broadcast = throughput({
  name: 'broadcast',
  figure: 'alerts to all connected users',
  unit: 'user-alerts/s',
  limit: { kind: 'aim', at: 'least', value: 25_000 },
  pump: { to: 'all', perCall: 1, concurrency: 8, window: 30 },
});

/** Alerts to one named user each, one a call. */
export const singleUnary = throughput({
  name: 'single-unary',
  figure: 'alerts to one user by CreateAlert',
  unit: 'alerts/s',
  limit: { kind: 'aim', at: 'least', value: 2500 },
  pump: { to: 'one', perCall: 1, concurrency: 64, window: 2000 },
});

/** The same, 100 a call. */
export const singleBatch = throughput({
  name: 'single-batch',
  figure: 'alerts to one user by BatchCreateAlerts of 100',
  unit: 'alerts/s',
  limit: { kind: 'aim', at: 'least', value: 6000 },
  pump: { to: 'one', perCall: 100, concurrency: 8, window: 4000 },
});

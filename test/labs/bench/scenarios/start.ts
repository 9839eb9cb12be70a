import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ROLE_NAMES } from '../../../../services/domain/role-names.js';
import { wait } from '../../../../services/lib/retry.js';
import { ROOT } from '../../../../services/lib/root.js';
import { RoleProcess } from '../../../support/role-process.js';
import { untilTrue } from '../../../support/until-true.js';
import type { Bench, Scenario } from '../../frame/bench.js';
import type { Figures } from '../../frame/figures.js';
import { IDLE_CPU, MEMORY } from '../../frame/figures.js';
import { CpuMeter, descendantsMb, residentMb } from '../../frame/processes.js';

const NAME = 'start';
/** After this a process that has started has also calmed down. */
const SETTLE_MS = 3000;
const IDLE_MS = 5000;
const READY_MS = 60_000;

/** How long set-up takes when there is nothing to do, until the service is ready, and the memory it then has. */
export const start: Scenario = {
  name: NAME,
  async run(bench: Bench, figures: Figures) {
    // Whatever there is to do is done before it is measured.
    await timeSetUp();
    await bench.rounds('set-up', async () => {
      const ms = await timeSetUp();
      figures.add(NAME, 'set-up with nothing to do', 'ms', ms);
      return `${Math.round(ms)} ms`;
    });
    await bench.rounds('standalone', async () => {
      const dataDir = await mkdtemp(join(bench.dir, 'standalone-'));
      await chmod(dataDir, 0o711);
      const fresh = await runStandalone(bench, dataDir);
      const again = await runStandalone(bench, dataDir);
      await rm(dataDir, { recursive: true, force: true });
      figures.add(NAME, 'standalone, new data folder', 'ms', fresh.ms);
      figures.add(NAME, 'standalone, existing data folder', 'ms', again.ms);
      figures.cell(MEMORY, 'standalone', 'after start', again.residentMb);
      figures.cell(MEMORY, "standalone's PostgreSQL", 'after start', again.postgresMb);
      return `new ${Math.round(fresh.ms)} ms, existing ${Math.round(again.ms)} ms, ${Math.round(again.residentMb)} MB`;
    });
    const first = await bench.deploy('start-migrate');
    await first.start(...ROLE_NAMES);
    await bench.finish(first, figures);
    const environment = first.environment;
    await bench.rounds('roles', async (round) => {
      const deployment = bench.deployOn(`start-${round}`, environment);
      await deployment.start(...ROLE_NAMES);
      await wait(SETTLE_MS);
      for (const [name, { readyMs }] of deployment.roles) figures.add(NAME, `${name} until it is ready`, 'ms', readyMs);
      deployment.noteMemory(figures, 'after start');
      const meter = new CpuMeter(deployment.pids());
      await wait(IDLE_MS);
      const { ms, elapsedMs } = meter.read();
      for (const [name, used] of ms) figures.cell(IDLE_CPU, name, 'after start', (used / elapsedMs) * 100);
      const times = [...deployment.roles.values()].map(({ readyMs }) => Math.round(readyMs));
      await bench.finish(deployment, figures);
      return `${times.join(', ')} ms`;
    });
  },
};

async function timeSetUp(): Promise<number> {
  const started = performance.now();
  const child = spawn(process.execPath, [join(ROOT, 'deploy', 'tools', 'setup', 'setup.mjs')], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout.resume();
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`set-up ended with ${code}`);
  return performance.now() - started;
}

/** Starts it, waits for its banner, and stops it. */
async function runStandalone(
  bench: Bench,
  dataDir: string,
): Promise<{ ms: number; residentMb: number; postgresMb: number }> {
  const started = performance.now();
  const service = new RoleProcess('standalone', {
    DATA_DIR: dataDir,
    EMBEDDED_POSTGRES_PORT: '0',
    GRPC_LISTEN: '127.0.0.1:0',
    HTTP_LISTEN: '127.0.0.1:0',
  });
  try {
    await untilTrue(() => service.output.includes('SSOM alerts are ready') || !service.running, {
      what: () => `standalone is ready: ${service.output}`,
      timeoutMs: READY_MS,
      intervalMs: 2,
    });
    if (!service.running) throw new Error(`standalone has ended at its start:\n${service.output}`);
    const ms = performance.now() - started;
    await wait(SETTLE_MS);
    return { ms, residentMb: residentMb(service.pid), postgresMb: descendantsMb(service.pid) };
  } finally {
    await service.stop();
  }
}

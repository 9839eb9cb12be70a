import type { Bench, Scenario } from '../../frame/bench.js';
import type { Figures } from '../../frame/figures.js';
import { CPU } from '../../frame/figures.js';
import { CpuMeter } from '../../frame/processes.js';
import type { EchoCommands } from '../echo-server.js';
import type { LoadCommands } from '../load-client.js';

const NAME = 'create-durable';
const CONCURRENCY = 64;
const WARM_UP_S = 5;

/** CreateAlert until it is committed, while nobody consumes, against a bare echo of the same message. */
export const createDurable: Scenario = {
  name: NAME,
  async run(bench: Bench, figures: Figures) {
    const { seconds } = bench.options;
    const deployment = await bench.deploy(NAME);
    await deployment.start('alert-api');
    await deployment.loadDirectory();
    const client = bench.worker<LoadCommands>('bench/load-client');
    const server = bench.worker<EchoCommands>('bench/echo-server');
    const echo = await server.call('listen', undefined);
    const loop = (address: string, length: number) =>
      client.call('closedLoop', { address, concurrency: CONCURRENCY, seconds: length });
    for (const address of [echo, deployment.alertApi]) await loop(address, Math.min(WARM_UP_S, seconds));

    await bench.rounds(NAME, async (round) => {
      const measure = async (address: string, name: string, pids: Map<string, number>) => {
        const meter = new CpuMeter(new Map([...pids, ['load client', client.pid]]));
        const result = await loop(address, seconds);
        const { ms, elapsedMs } = meter.read();
        const calls = (result.callsPerSecond * elapsedMs) / 1000;
        for (const [process, used] of ms) figures.cell(CPU, process, name, (used / calls) * 1000);
        return { ...result, clientShare: (ms.get('load client')! / elapsedMs) * 100 };
      };
      const product = () => measure(deployment.alertApi, 'create', deployment.pids());
      const bare = () => measure(echo, 'echo', new Map([['echo server', server.pid]]));
      // Whoever goes second finds the machine warmer, so they take turns.
      const first = round % 2 === 1 ? await bare() : await product();
      const second = round % 2 === 1 ? await product() : await bare();
      const [echoed, created] = round % 2 === 1 ? [first, second] : [second, first];
      const ratio = created.callsPerSecond / echoed.callsPerSecond;
      figures.add(NAME, 'CreateAlert, durable', 'calls/s', created.callsPerSecond);
      figures.add(NAME, 'bare grpc-js echo', 'calls/s', echoed.callsPerSecond);
      figures.add(NAME, 'CreateAlert against echo', 'x', ratio, { kind: 'bound', at: 'least', value: 0.5 });
      figures.add(NAME, `CreateAlert p50, ${CONCURRENCY} at a time`, 'ms', created.p50);
      figures.add(NAME, `CreateAlert p99, ${CONCURRENCY} at a time`, 'ms', created.p99);
      figures.add(NAME, 'load client, share of a core (create)', '%', created.clientShare);
      figures.add(NAME, 'load client, share of a core (echo)', '%', echoed.clientShare);
      return `${Math.round(created.callsPerSecond)}/s, echo ${Math.round(echoed.callsPerSecond)}/s, ${ratio.toFixed(2)} x`;
    });
    await bench.finish(deployment, figures);
  },
};

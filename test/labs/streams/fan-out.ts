import type { Scenario } from '../frame/bench.js';
import type { Figures } from '../frame/figures.js';
import { CpuMeter } from '../frame/processes.js';
import type { Worker } from '../frame/worker.js';
import type { BareCommands } from './bare-server.js';
import { CHECKPOINT, deployGateway, noteWay, userIds } from './deployment.js';
import type { GrpcClientCommands } from './grpc-clients.js';
import { InboxSource } from './inbox-source.js';

const NAME = 'fan-out';
const CPU = 'CPU of a fan-out, microseconds a change';
const STREAMS_MAX = 10_000;
const PER_CONNECTION = 100;
/** Of one measurement, one after the other. */
const ALERTS = 5;
/** Rounds that are not counted: Node compiles what is hot. */
const WARM_UP = 3;
const PATIENCE_MS = 60_000;

/** A server and the clients that hold its streams; each fans one alert out to all of them. */
interface Side {
  readonly name: string;
  readonly server: { readonly pid: number };
  readonly clients: Worker<GrpcClientCommands>;
  /** @returns milliseconds from the word to go to the last change, by the clients' clock */
  readonly alertToAll: () => Promise<number>;
}

/**
 * One alert to everybody who is connected: by a gateway, from its records in Kafka to the clients, and the same bytes
 * by a bare server to as many clients of the same kind; grpc-js on both ends.
 */
export const fanOut: Scenario = {
  name: NAME,
  async run(bench, figures) {
    const users = userIds(Math.min(STREAMS_MAX, bench.options.users));
    // It stands still while records are made, which must not look to it as if they were lost.
    const variables = { STREAM_HEAL_INTERVAL_MS: '600000' };
    const deployment = await deployGateway(bench, NAME, users, { variables });
    const gateway = deployment.role('stream-gateway');
    const bare = bench.worker<BareCommands>('streams/bare-server');
    const [gatewayClients, bareClients] = [1, 2].map((n) =>
      bench.worker<GrpcClientCommands>('streams/grpc-clients', `clients ${n}`),
    ) as [Worker<GrpcClientCommands>, Worker<GrpcClientCommands>];
    const address = await bare.call('listen', { first: CHECKPOINT });
    await gatewayClients.call('open', { address: gateway.grpc, perConnection: PER_CONNECTION, users });
    await bareClients.call('open', { address, perConnection: PER_CONNECTION, users });
    const source = await InboxSource.open(deployment, bench, users);
    await source.alertToAll();
    const { message } = await gatewayClients.call('changes', { count: users.length, timeoutMs: PATIENCE_MS });

    const byGateway = async () => {
      // It stands still until all is in Kafka, so that it never waits for a producer.
      gateway.signal('SIGSTOP');
      await source.alertToAll();
      const started = process.hrtime.bigint();
      gateway.signal('SIGCONT');
      return arrived(gatewayClients, users.length, started);
    };
    const byBareServer = async (stride: number) => {
      const started = process.hrtime.bigint();
      const written = bare.call('fanOut', { message, stride });
      const ms = await arrived(bareClients, users.length, started);
      await written;
      return ms;
    };
    const sides: Side[] = [
      { name: 'gateway', server: gateway, clients: gatewayClients, alertToAll: byGateway },
      { name: 'bare grpc-js', server: bare, clients: bareClients, alertToAll: () => byBareServer(1) },
      { name: 'bare, in scattered order', server: bare, clients: bareClients, alertToAll: () => byBareServer(617) },
    ];
    for (let round = 0; round < WARM_UP; round += 1) for (const side of sides) await rate(side, users.length);
    const what = `one alert to ${users.length.toLocaleString('en-US')} streams`;
    await bench.rounds(what, async (round) => {
      const rates = new Map<string, number>();
      for (let turn = 0; turn < sides.length; turn += 1) {
        const side = sides[(round + turn) % sides.length]!;
        rates.set(side.name, await rate(side, users.length, figures));
      }
      for (const { name } of sides) figures.add(NAME, `${what}, ${name}`, 'changes/s', rates.get(name)!);
      const [product, control, scattered] = sides.map(({ name }) => rates.get(name)!) as [number, number, number];
      figures.add(NAME, 'gateway against bare', 'x', product / control, { kind: 'bound', at: 'least', value: 0.7 });
      figures.add(NAME, 'gateway against bare in scattered order', 'x', product / scattered);
      return sides.map(({ name }) => `${name} ${Math.round(rates.get(name)!)}/s`).join(', ');
    });
    await source.close();
    await noteWay(deployment, figures);
    await bench.finish(deployment, figures);
  },
};

/** Changes a second, of some alerts one after the other; their CPU is noted in the figures. */
async function rate({ name, server, clients, alertToAll }: Side, streams: number, figures?: Figures): Promise<number> {
  const meter = new CpuMeter(
    new Map([
      ['server', server.pid],
      ['clients', clients.pid],
    ]),
  );
  let ms = 0;
  for (let alert = 0; alert < ALERTS; alert += 1) ms += await alertToAll();
  for (const [process, used] of meter.read().ms) figures?.cell(CPU, process, name, (used * 1000) / (streams * ALERTS));
  return (streams * ALERTS * 1000) / ms;
}

/** Waits until everybody has it. @returns milliseconds since `started` */
async function arrived(clients: Worker<GrpcClientCommands>, count: number, started: bigint): Promise<number> {
  const { received, lastAt } = await clients.call('changes', { count, timeoutMs: PATIENCE_MS });
  if (received !== count) throw new Error(`${received} changes came instead of ${count}`);
  return Number(BigInt(lastAt) - started) / 1e6;
}

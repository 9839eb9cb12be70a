import { wait } from '../../../services/lib/retry.js';
import type { Bench, Scenario } from '../frame/bench.js';
import type { Figures } from '../frame/figures.js';
import { CpuMeter } from '../frame/processes.js';
import type { BareCommands } from './bare-server.js';
import { CHECKPOINT, deployGateway, userIds } from './deployment.js';
import type { HolderCommands } from './holder.js';
import type { Holding } from './inspect.js';

const NAME = 'idle';
const LIMIT_KB = 12;

/** Memory of streams to which nothing happens, on a gateway and on a bare server. */
export const idle: Scenario = {
  name: NAME,
  async run(bench, figures) {
    const streams = bench.options.users;
    await compare(bench, figures, streams, 100);
    // Each connection takes a file of ours and one of the gateway's.
    await compare(bench, figures, Math.min(streams, 5000), 1);
  },
};

interface Measured {
  readonly residentKb: number;
  readonly liveKb: number;
}

async function compare(bench: Bench, figures: Figures, streams: number, perConnection: number): Promise<void> {
  const users = userIds(streams);
  const what = `${streams.toLocaleString('en-US')} streams, ${perConnection} a connection`;
  await bench.rounds(what, async () => {
    const gateway = await onGateway(bench, figures, users, perConnection, what);
    const bare = await onBareServer(bench, users, perConnection);
    const beyond = gateway.residentKb - bare.residentKb;
    figures.add(NAME, `${what}: resident, gateway`, 'KB a stream', gateway.residentKb);
    figures.add(NAME, `${what}: resident, bare grpc-js`, 'KB a stream', bare.residentKb);
    figures.add(NAME, `${what}: resident beyond bare`, 'KB a stream', beyond, {
      kind: 'bound',
      at: 'most',
      value: LIMIT_KB,
    });
    figures.add(NAME, `${what}: heap and buffers, gateway`, 'KB a stream', gateway.liveKb);
    figures.add(NAME, `${what}: heap and buffers, bare grpc-js`, 'KB a stream', bare.liveKb);
    return `${gateway.residentKb.toFixed(1)} KB resident a stream, bare ${bare.residentKb.toFixed(1)}; live ${gateway.liveKb.toFixed(1)}, bare ${bare.liveKb.toFixed(1)}`;
  });
}

function perStream(before: Holding, after: Holding, streams: number): Measured {
  return {
    residentKb: (after.rss - before.rss) / streams / 1024,
    liveKb: (after.live - before.live) / streams / 1024,
  };
}

async function onGateway(bench: Bench, figures: Figures, users: string[], perConnection: number, what: string) {
  const deployment = await deployGateway(bench, NAME, users);
  const gateway = deployment.role('stream-gateway');
  const clients = bench.worker<HolderCommands>('streams/holder');
  // One stream, so that what is loaded once is loaded.
  await clients.call('open', { address: gateway.grpc, perConnection, users: users.slice(0, 10) });
  const before = await gateway.ask<Holding>('holding');
  await clients.call('open', { address: gateway.grpc, perConnection, users });
  while ((await gateway.metric('ssom_presence_waiting')) > 0) await wait(200);
  const open = await gateway.metric('ssom_stream_open');
  if (open !== users.length + 10) throw new Error(`${open} streams are open instead of ${users.length + 10}`);
  const meter = new CpuMeter(new Map([['gateway', gateway.pid]]));
  await wait(bench.options.seconds * 1000);
  const { ms, elapsedMs } = meter.read();
  figures.add(
    NAME,
    `${what}: CPU of the gateway, checkpoints every 15 s`,
    '% of a core',
    (ms.get('gateway')! / elapsedMs) * 100,
  );
  const after = await gateway.ask<Holding>('holding');
  await bench.finish(deployment, figures);
  return perStream(before, after, users.length);
}

async function onBareServer(bench: Bench, users: string[], perConnection: number): Promise<Measured> {
  const bare = bench.worker<BareCommands>('streams/bare-server');
  const clients = bench.worker<HolderCommands>('streams/holder');
  const address = await bare.call('listen', { first: CHECKPOINT });
  await clients.call('open', { address, perConnection, users: users.slice(0, 10) });
  const before = await bare.call('holding', undefined);
  await clients.call('open', { address, perConnection, users });
  await wait(bench.options.seconds * 1000);
  const after = await bare.call('holding', undefined);
  await bench.stopWorkers();
  return perStream(before, after, users.length);
}

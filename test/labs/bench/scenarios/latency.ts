import { ROLE_NAMES } from '../../../../services/domain/role-names.js';
import type { Bench, Scenario } from '../../frame/bench.js';
import type { Figures } from '../../frame/figures.js';
import { percentile } from '../../frame/statistics.js';
import type { HopCommands, HopOptions } from '../bare-hop.js';
import type { LoadCommands } from '../load-client.js';

const NAME = 'latency';
const RATE = 200;
/** V8 and the JVM compile what runs often: p50 falls for about half a minute, and a service runs for weeks. */
const WARM_UP_S = 30;

interface BarePipeline {
  /** @returns milliseconds from before the first commit to the last consumer */
  run(seconds: number): Promise<number[]>;
}

/**
 * What an alert's way costs at least: commit, hop, hop, commit, hop, in four processes, as the product has them. The
 * same partitions, client, settings and rate; no gRPC at either end.
 */
async function startBarePipeline(bench: Bench, users: number): Promise<BarePipeline> {
  const databaseUrl = await bench.createDatabase('bare');
  await bench.runSql(
    databaseUrl,
    'CREATE TABLE bare_hop (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, value text NOT NULL)',
  );
  await bench.createTopics([
    { name: 'bare-1', partitions: 3 },
    { name: 'bare-2', partitions: 10 },
    { name: 'bare-3', partitions: 10 },
  ]);
  const environment = { DATABASE_URL: databaseUrl, KAFKA_BOOTSTRAP_SERVERS: bench.bootstrap };
  const start = async (options: Omit<HopOptions, 'environment'>) => {
    const worker = bench.worker<HopCommands>('bench/bare-hop', `bare-${options.part}`);
    await worker.call('open', { ...options, environment });
    return worker;
  };
  const end = await start({ part: 'end', from: 'bare-3' });
  await start({ part: 'store', from: 'bare-2', to: 'bare-3' });
  await start({ part: 'forward', from: 'bare-1', to: 'bare-2' });
  const entry = await start({ part: 'entry', to: 'bare-1' });
  return {
    async run(seconds) {
      const count = await entry.call('send', { rate: RATE, seconds, users });
      const latencies = await end.call('take', { count });
      if (latencies.length !== count) throw new Error(`${latencies.length} of ${count} records came through bare hops`);
      return latencies;
    },
  };
}

/**
 * From the start of CreateAlert to the alert on a stream, at a steady rate, against three bare hops and two commits.
 */
export const latency: Scenario = {
  name: NAME,
  async run(bench: Bench, figures: Figures) {
    const { seconds } = bench.options;
    const deployment = await bench.deploy(NAME);
    await deployment.start(...ROLE_NAMES);
    const users = await deployment.loadDirectory();
    const client = bench.worker<LoadCommands>('bench/load-client');
    await client.call('openStreams', { address: deployment.streamGateway, users });
    const bare = await startBarePipeline(bench, users.length);
    const product = (length: number) =>
      client.call('openLoop', { address: deployment.alertApi, rate: RATE, seconds: length });
    await product(WARM_UP_S);
    await bare.run(WARM_UP_S);

    await bench.rounds(NAME, async (round) => {
      let hops: number[] = [];
      if (round % 2 === 1) hops = await bare.run(seconds);
      const { acknowledged, delivered, missing } = await product(seconds);
      if (round % 2 === 0) hops = await bare.run(seconds);
      if (missing > 0) figures.note(`${NAME}: ${missing} alerts of a round did not come within 10 s`);
      const [p50, bareP50] = [percentile(delivered, 0.5), percentile(hops, 0.5)];
      const aim = (value: number) => ({ kind: 'aim', at: 'most', value }) as const;
      figures.add(NAME, 'create to stream p50', 'ms', p50, aim(7));
      figures.add(NAME, 'create to stream p90', 'ms', percentile(delivered, 0.9));
      figures.add(NAME, 'create to stream p99', 'ms', percentile(delivered, 0.99), aim(25));
      figures.add(NAME, 'three bare hops and two commits p50', 'ms', bareP50);
      figures.add(NAME, 'three bare hops and two commits p90', 'ms', percentile(hops, 0.9));
      figures.add(NAME, 'three bare hops and two commits p99', 'ms', percentile(hops, 0.99));
      figures.add(NAME, 'p50 against bare p50', 'x', p50 / bareP50, { kind: 'bound', at: 'most', value: 1.5 });
      figures.add(NAME, 'create to its answer p50', 'ms', percentile(acknowledged, 0.5));
      figures.add(NAME, 'create to its answer p99', 'ms', percentile(acknowledged, 0.99));
      const p99 = percentile(delivered, 0.99).toFixed(1);
      return `p50 ${p50.toFixed(1)} ms, p99 ${p99} ms, bare p50 ${bareP50.toFixed(1)} ms, ${(p50 / bareP50).toFixed(2)} x`;
    });
    await bench.finish(deployment, figures);
  },
};

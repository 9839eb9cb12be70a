import { type AlertClient, createClient } from '../../../services/client/client.js';
import type { Scenario } from '../frame/bench.js';
import type { Deployment } from '../frame/deployment.js';
import { paced } from '../frame/pacing.js';
import { median, percentile } from '../frame/statistics.js';
import type { Worker } from '../frame/worker.js';
import { DEPARTMENT, deployGateway, userIds } from './deployment.js';
import type { HolderCommands } from './holder.js';
import type { Holding } from './inspect.js';

const NAME = 'stalled';
const STREAMS = 1000;
const STALLED = 100;
/**
 * Alerts to everybody before each measurement: more than HTTP/2's window and the gateway's bound hold for a stalled
 * client.
 */
const FILL = { alerts: 16, characters: 16_000 } as const;
/** Alerts of a measurement, each to so many users. */
const RATE = { alerts: 50, users: 10, characters: 1000 } as const;
const PATIENCE_MS = 60_000;

/** How long an alert takes to 900 clients who read, while 100 others do, and while those have stopped reading. */
export const stalled: Scenario = {
  name: NAME,
  async run(bench, figures) {
    const users = userIds(STREAMS);
    const deployment = await deployGateway(bench, NAME, users, { roles: ['alert-api', 'fanout', 'delivery'] });
    const gateway = deployment.role('stream-gateway');
    const clients = bench.worker<HolderCommands>('streams/holder');
    const suspects = bench.worker<HolderCommands>('streams/holder', 'clients that stall');
    const address = gateway.grpc;
    // Each on a connection of its own, as phones are.
    await clients.call('open', { address, perConnection: 1, users: users.slice(STALLED), latencies: true });
    const group = await suspects.call('open', { address, perConnection: 1, users: users.slice(0, STALLED) });
    const load = new Load(deployment, users, clients);

    const measure = async (stalls: boolean) => {
      await suspects.call('setReading', { group, reading: !stalls });
      await load.fill();
      const before = await gateway.metric('ssom_stream_pending_bytes');
      const latencies = await load.measure(bench.options.seconds);
      const pendingKb = (await gateway.metric('ssom_stream_pending_bytes')) / STALLED / 1024;
      if (stalls && before < STALLED * 1024) throw new Error('the clients that stopped reading did not stall');
      const live = (await gateway.ask<Holding>('holding')).live;
      await suspects.call('setReading', { group, reading: true });
      await load.everybodyHasEverything(suspects);
      return { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99), pendingKb, live };
    };
    // What it takes for the first time is compiled, and memory that is used once stays.
    await measure(true);
    const ratios: number[] = [];
    await bench.rounds(`${STALLED} of ${STREAMS} streams stall`, async (round) => {
      const first = await measure(round % 2 === 0);
      const second = await measure(round % 2 === 1);
      const [all, some] = round % 2 === 1 ? [first, second] : [second, first];
      ratios.push(some.p99 / all.p99);
      figures.add(NAME, 'create to stream p50, all read', 'ms', all.p50);
      figures.add(NAME, 'create to stream p50, 100 have stalled', 'ms', some.p50);
      figures.add(NAME, 'create to stream p99, all read', 'ms', all.p99);
      figures.add(NAME, 'create to stream p99, 100 have stalled', 'ms', some.p99);
      figures.add(NAME, 'p99 with stalled clients against without', 'x', some.p99 / all.p99, {
        kind: 'bound',
        at: 'most',
        value: 1.2,
      });
      figures.add(NAME, 'responses that wait for a stalled client', 'KB', some.pendingKb);
      figures.add(NAME, 'memory of a stalled client', 'KB', (some.live - all.live) / STALLED / 1024);
      return `p99 ${all.p99.toFixed(1)} ms, with stalled ${some.p99.toFixed(1)} ms; median ratio ${median(ratios).toFixed(2)}`;
    });
    load.close();
    await bench.finish(deployment, figures);
  },
};

/** Creates alerts and knows how many changes they make. */
class Load {
  readonly #api: AlertClient;
  #next = 0;
  /** Changes that are due to everybody together. */
  #reading = 0;
  #suspect = 0;

  constructor(
    deployment: Deployment,
    private readonly users: readonly string[],
    private readonly clients: Worker<HolderCommands>,
  ) {
    this.#api = createClient({ address: deployment.alertApi, identity: { caller: 'streams' } });
  }

  async fill(): Promise<void> {
    for (let index = 0; index < FILL.alerts; index += 1)
      await this.#create(FILL.characters, { departments: [DEPARTMENT] });
    this.#reading += FILL.alerts * (STREAMS - STALLED);
    this.#suspect += FILL.alerts * STALLED;
    await this.#arrived();
    await this.clients.call('takeLatencies', undefined);
  }

  /** @returns milliseconds from creating an alert to its arrival at each client that reads */
  async measure(seconds: number): Promise<number[]> {
    const created: Promise<void>[] = [];
    await paced(RATE.alerts, RATE.alerts * seconds, () => {
      const userIds = Array.from({ length: RATE.users }, () => {
        this.#next = (this.#next + 617) % STREAMS;
        if (this.#next < STALLED) this.#suspect += 1;
        else this.#reading += 1;
        return this.users[this.#next]!;
      });
      created.push(this.#create(RATE.characters, { userIds }));
    });
    await Promise.all(created);
    await this.#arrived();
    return this.clients.call('takeLatencies', undefined);
  }

  async #create(characters: number, recipients: object): Promise<void> {
    await this.#api.createAlert({
      kind: 'ALERT_KIND_GRAFANA',
      appName: 'ssok-bank-api',
      level: 'ALERT_LEVEL_ERROR',
      title: 'stalled',
      message: 'x'.repeat(characters),
      sourceId: `at-${process.hrtime.bigint()}`,
      recipients,
    });
  }

  /** Waits until those who read have everything. */
  async #arrived(): Promise<void> {
    await allCame(this.clients, this.#reading);
    this.#reading = 0;
  }

  async everybodyHasEverything(suspects: Worker<HolderCommands>): Promise<void> {
    await allCame(suspects, this.#suspect);
    this.#suspect = 0;
  }

  close(): void {
    this.#api.close();
  }
}

async function allCame(clients: Worker<HolderCommands>, count: number): Promise<void> {
  const received = await clients.call('changes', { count, timeoutMs: PATIENCE_MS });
  if (received !== count) throw new Error(`${received} changes came instead of ${count}`);
}

import { createClient } from '../../../services/client/client.js';
import { wait } from '../../../services/lib/retry.js';
import type { Bench, Scenario } from '../frame/bench.js';
import type { Deployment } from '../frame/deployment.js';
import type { Figures } from '../frame/figures.js';
import { residentMb } from '../frame/processes.js';
import { percentile } from '../frame/statistics.js';
import { databaseOf, DEPARTMENT, deployGateway, userIds } from './deployment.js';
import type { HerdCommands } from './herd-client.js';
import type { Holding } from './inspect.js';

const NAME = 'herd';
const PER_CONNECTION = 100;
/** That everybody has missed when they come back. */
const ALERTS = 3;
const LIMIT_S = 30;
const PATIENCE_MS = 120_000;
const SAMPLE_MS = 100;
/** How the second gateway calls itself to PostgreSQL. */
const SURVIVOR = 'survivor';

/**
 * A gateway is killed with all of its streams; everybody comes back at once, to another one, with something to catch
 * up.
 */
export const herd: Scenario = {
  name: NAME,
  async run(bench, figures) {
    await bench.rounds('a gateway is killed', () => oneHerd(bench, figures));
  },
};

async function oneHerd(bench: Bench, figures: Figures): Promise<string> {
  const users = userIds(bench.options.users);
  const first = await deployGateway(bench, NAME, users, { roles: ['alert-api', 'fanout', 'delivery'] });
  const second = await anotherGateway(bench, first);
  const gateway = second.role('stream-gateway');
  const clients = bench.worker<HerdCommands>('streams/herd-client');
  await clients.call('open', { address: first.streamGateway, perConnection: PER_CONNECTION, users });

  // It hears of nothing any more, so nobody sees these alerts before it dies.
  first.role('stream-gateway').signal('SIGSTOP');
  await createAlerts(bench, first, users.length);
  await clients.call('expect', { address: gateway.grpc, perConnection: PER_CONNECTION, sequence: ALERTS });
  const before = residentMb(gateway.pid);
  const watch = new Watch(bench, second);
  const killed = process.hrtime.bigint();
  await first.role('stream-gateway').kill();
  const until = Date.now() + PATIENCE_MS;
  let progress = await clients.call('progress', undefined);
  while (progress.back < users.length && Date.now() < until) {
    await wait(SAMPLE_MS);
    progress = await clients.call('progress', undefined);
  }
  const { connections, memoryMb } = await watch.stop();
  const seconds = (await clients.call('liveAt', undefined)).map((at) => Number(BigInt(at) - killed) / 1e9);
  for (const problem of progress.problems) figures.note(`${NAME}: ${problem}`);
  if (seconds.length < users.length) throw new Error(`${seconds.length} of ${users.length} clients came back`);

  const add = (name: string, unit: string, value: number, most?: number) =>
    figures.add(NAME, name, unit, value, most === undefined ? undefined : { kind: 'bound', at: 'most', value: most });
  add('live again, half of the clients', 's', percentile(seconds, 0.5));
  add('live again, 99 %', 's', percentile(seconds, 0.99));
  add('live again, all', 's', Math.max(...seconds), LIMIT_S);
  add('streams opened a client', '', progress.tries / users.length);
  add('catch-up queries', '', await gateway.metric('ssom_stream_catch_up_queries_total'));
  add('connections to PostgreSQL, most', '', connections, 8);
  add('gateway before', 'MB', before);
  add('gateway, most', 'MB', memoryMb);
  add('gateway after, garbage collected', 'MB', (await gateway.ask<Holding>('holding')).rss / 2 ** 20);
  await second.stop(figures);
  await bench.finish(first, figures);
  return `all live after ${Math.max(...seconds).toFixed(1)} s, half after ${percentile(seconds, 0.5).toFixed(1)} s; at most ${connections} connections and ${memoryMb.toFixed(0)} MB`;
}

/** A second gateway on the same database and topics. */
async function anotherGateway(bench: Bench, { environment }: Deployment): Promise<Deployment> {
  const url = new URL(environment['DATABASE_URL']!);
  url.searchParams.set('application_name', SURVIVOR);
  const deployment = bench.deployOn(`${NAME}-survivor`, { ...environment, DATABASE_URL: url.href });
  await deployment.start('stream-gateway');
  return deployment;
}

/** Alerts for everybody; resolves when they are in all inboxes. */
async function createAlerts(bench: Bench, deployment: Deployment, users: number): Promise<void> {
  const api = createClient({ address: deployment.alertApi, identity: { caller: 'streams' } });
  try {
    for (let index = 0; index < ALERTS; index += 1) {
      await api.createAlert({
        kind: 'ALERT_KIND_GRAFANA',
        appName: 'ssok-bank-api',
        level: 'ALERT_LEVEL_ERROR',
        title: `missed ${index}`,
        message: 'created while nobody was connected',
        recipients: { departments: [DEPARTMENT] },
      });
    }
  } finally {
    api.close();
  }
  const delivered = 'SELECT count(*)::int AS users FROM inboxes WHERE last_seq >= $1';
  const until = Date.now() + PATIENCE_MS;
  for (let found = 0; found < users; await wait(200)) {
    if (Date.now() > until) throw new Error(`${found} of ${users} inboxes have the alerts`);
    [{ users: found }] = (await bench.runSql(databaseOf(deployment), delivered, [ALERTS])) as [{ users: number }];
  }
}

/** Looks at the surviving gateway until it is stopped: its memory, and its connections as PostgreSQL counts them. */
class Watch {
  #connections = 0;
  #memoryMb = 0;
  #stopping = false;
  readonly #done: Promise<void>;

  constructor(
    private readonly bench: Bench,
    private readonly deployment: Deployment,
  ) {
    this.#done = this.#run();
  }

  async #run(): Promise<void> {
    const url = new URL(databaseOf(this.deployment));
    url.searchParams.set('application_name', 'watch');
    const text = 'SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = $1';
    const { pid } = this.deployment.role('stream-gateway');
    while (!this.#stopping) {
      const [row] = await this.bench.runSql(url.href, text, [SURVIVOR]);
      this.#connections = Math.max(this.#connections, row!['n'] as number);
      this.#memoryMb = Math.max(this.#memoryMb, residentMb(pid));
      await wait(SAMPLE_MS);
    }
  }

  async stop(): Promise<{ connections: number; memoryMb: number }> {
    this.#stopping = true;
    await this.#done;
    return { connections: this.#connections, memoryMb: this.#memoryMb };
  }
}

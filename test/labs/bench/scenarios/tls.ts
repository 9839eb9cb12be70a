import { ROLE_NAMES } from '../../../../services/domain/role-names.js';
import { wait } from '../../../../services/lib/retry.js';
import type { Bench, Scenario } from '../../frame/bench.js';
import type { Deployment } from '../../frame/deployment.js';
import type { Figures } from '../../frame/figures.js';
import { residentMb } from '../../frame/processes.js';
import { percentile } from '../../frame/statistics.js';
import type { LoadCommands } from '../load-client.js';
import { type Secured, secured } from '../secured.js';

const NAME = 'tls';
const CONCURRENCY = 64;
const PUMP = { to: 'all', perCall: 1, concurrency: 8, window: 30 } as const;
const CONNECTIONS_PER_S = 50;
const WARM_UP_S = 5;
const DRAIN_TIMEOUT_MS = 60_000;
/** As many as two processes of a shared machine hold; the figure for 20,000 is ten times it. */
const IDLE_STREAMS = 2000;
const EXTRAPOLATED = 20_000;

/** One of the two ways that the same alerts are created and streamed. */
interface Way {
  readonly name: string;
  readonly alertApi: string;
  readonly gateway: string;
  readonly gatewayPid: () => number;
  readonly client: () => Promise<Client>;
}

type Client = ReturnType<typeof Bench.prototype.worker<LoadCommands>>;

function wayOf(bench: Bench, deployment: Deployment, name: string, prepare: (client: Client) => Promise<void>): Way {
  const byName = (address: string) => address.replace('127.0.0.1', 'localhost');
  return {
    name,
    alertApi: byName(deployment.alertApi),
    gateway: byName(deployment.streamGateway),
    gatewayPid: () => deployment.role('stream-gateway').pid,
    client: async () => {
      const client = bench.worker<LoadCommands>('bench/load-client', name);
      await prepare(client);
      return client;
    },
  };
}

async function tokensOf({ service, user }: Secured, users: readonly string[]): Promise<Record<string, string>> {
  const entries = users.map(async (userId) => [userId, await user(userId)] as const);
  return Object.fromEntries([['bench', await service('bench')] as const, ...(await Promise.all(entries))]);
}

/** Tokens and TLS against names in clear, in one run: the same database, topics, fanout and delivery. */
export const tls: Scenario = {
  name: NAME,
  async run(bench: Bench, figures: Figures) {
    const { seconds } = bench.options;
    const plainly = await bench.deploy(NAME);
    await plainly.start(...ROLE_NAMES);
    const users = await plainly.loadDirectory();
    const security = await secured({ tls: true });
    const tokens = await tokensOf(security, users);
    const securely = bench.deployOn(`${NAME}, secured`, { ...plainly.environment, ...security.environment });
    await securely.start('alert-api', 'stream-gateway');
    const plain = wayOf(bench, plainly, 'plain', async () => undefined);
    const secure = wayOf(bench, securely, 'secure', (client) =>
      client.call('secure', { authority: security.authority!, tokens }),
    );
    // Whoever goes second finds the machine warmer, so they take turns.
    const inTurn = async (round: number, measure: (way: Way) => Promise<number>): Promise<[number, number]> => {
      const [one, other] = round % 2 === 1 ? [plain, secure] : [secure, plain];
      const [first, second] = [await measure(one), await measure(other)];
      return round % 2 === 1 ? [first, second] : [second, first];
    };

    await bench.rounds(`${NAME}, CreateAlert`, async (round) => {
      const [before, now] = await inTurn(round, async ({ client, alertApi: address }) => {
        const worker = await client();
        const loop = (length: number) =>
          worker.call('closedLoop', { address, concurrency: CONCURRENCY, seconds: length });
        await loop(Math.min(WARM_UP_S, seconds));
        const { callsPerSecond } = await loop(seconds);
        await worker.stop();
        return callsPerSecond;
      });
      return ratio(figures, 'CreateAlert', 'calls/s', before, now, 0.8);
    });
    await bench.rounds(`${NAME}, streams`, async (round) => {
      const [before, now] = await inTurn(round, async ({ client, alertApi, gateway }) => {
        const worker = await client();
        await worker.call('openStreams', { address: gateway, users });
        await worker.call('startPump', { address: alertApi, ...PUMP });
        await wait(Math.min(WARM_UP_S, seconds) * 1000);
        const started = performance.now();
        const { received } = await worker.call('pumpState', undefined);
        await wait(seconds * 1000);
        const messages = (await worker.call('pumpState', undefined)).received - received;
        const elapsedS = (performance.now() - started) / 1000;
        await worker.call('stopPump', { timeoutMs: DRAIN_TIMEOUT_MS });
        await worker.stop();
        return messages / elapsedS;
      });
      return ratio(figures, 'messages of streams', 'messages/s', before, now, 0.85);
    });
    await bench.rounds(`${NAME}, connections`, async (round) => {
      const [before, now] = await inTurn(round, async ({ client, alertApi: address }) => {
        const worker = await client();
        const latencies = await worker.call('connections', { address, rate: CONNECTIONS_PER_S, seconds });
        await worker.stop();
        return percentile(latencies, 0.99);
      });
      const what = `connection set-up p99, ${CONNECTIONS_PER_S} a second`;
      figures.add(NAME, `${what}, plain`, 'ms', before);
      figures.add(NAME, `${what}, TLS`, 'ms', now, { kind: 'bound', at: 'most', value: 50 });
      return `p99 ${before.toFixed(1)} ms plain, ${now.toFixed(1)} ms with TLS`;
    });
    for (const { name, client, gateway, gatewayPid } of [plain, secure]) {
      const worker = await client();
      const before = residentMb(gatewayPid());
      await worker.call('idleStreams', { address: gateway, users, count: IDLE_STREAMS });
      const eachKb = ((residentMb(gatewayPid()) - before) * 1024) / IDLE_STREAMS;
      const what = `idle stream on a connection of its own, ${name}`;
      figures.add(NAME, `${what}; of ${IDLE_STREAMS}`, 'KB', eachKb);
      figures.add(NAME, `${what}; ${EXTRAPOLATED} of them, extrapolated`, 'MB', (eachKb * EXTRAPOLATED) / 1024);
      await worker.stop();
    }
    await securely.stop(figures);
    await bench.finish(plainly, figures);
  },
};

function ratio(figures: Figures, what: string, unit: string, plain: number, secure: number, least: number): string {
  figures.add(NAME, `${what}, plain`, unit, plain);
  figures.add(NAME, `${what}, tokens and TLS`, unit, secure);
  figures.add(NAME, `${what}, tokens and TLS against plain`, 'x', secure / plain, {
    kind: 'bound',
    at: 'least',
    value: least,
  });
  return `${Math.round(plain)} -> ${Math.round(secure)} ${unit}, ${(secure / plain).toFixed(2)} x`;
}

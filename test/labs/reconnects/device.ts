import { setTimeout as sleep } from 'node:timers/promises';
import { type AlertClient, createClient } from '../../../services/client/client.js';
import type { StreamEvent } from '../../../services/client/stream.js';
import type { Random } from '../../support/random.js';
import type { StreamRecord } from '../../support/stream-record.js';
import { TcpProxy } from '../../support/tcp-proxy.js';

/** The waits of the client's own reconnecting, short: what is tested is how often, not how patiently. */
const RECONNECT = { baseMs: 20, capMs: 300 };
const CHECKPOINT_MS = 1000;
/** Longer than the client waits for a checkpoint: it gives the connection up. */
const DEAD_MS = 2.5 * CHECKPOINT_MS + 800;

/** Why connections were lost, by status and reason. */
export type Losses = Map<string, number>;

/** One person's device: the product's client with some streams, and a network of its own to every gateway. */
export class Device {
  reconnects = 0;
  readonly losses: Losses = new Map();
  /** What ended a stream although it should go on. */
  readonly failures: string[] = [];
  readonly #stop = new AbortController();
  readonly #client: AlertClient;
  readonly #streams: Promise<void>[];

  private constructor(
    userId: string,
    api: string,
    private readonly proxies: readonly TcpProxy[],
    readonly records: readonly StreamRecord[],
  ) {
    const streamAddress = proxies.map(({ address }) => address);
    this.#client = createClient({ address: api, streamAddress, identity: { userId } });
    this.#streams = records.map((record) => this.#follow(record));
  }

  static async open(
    userId: string,
    place: { readonly api: string; readonly gateways: readonly string[] },
    records: readonly StreamRecord[],
  ): Promise<Device> {
    const ports = place.gateways.map((address) => Number(address.slice(address.lastIndexOf(':') + 1)));
    const proxies = await Promise.all(ports.map((port) => TcpProxy.listen(port)));
    return new Device(userId, place.api, proxies, records);
  }

  async #follow(record: StreamRecord): Promise<void> {
    let connections = 0;
    const onEvent = (event: StreamEvent) => {
      if (event.type === 'connected') this.reconnects += (connections += 1) > 1 ? 1 : 0;
      if (event.type === 'expired') this.failures.push(`${record.name}: ${event.error.message}`);
      if (event.type !== 'lost') return;
      const why = `${event.error.code} ${event.error.reason}`.trim();
      this.losses.set(why, (this.losses.get(why) ?? 0) + 1);
    };
    try {
      for await (const response of this.#client.streamAlerts({
        start: 'beginning',
        filter: record.filter,
        checkpointIntervalMs: CHECKPOINT_MS,
        reconnect: RECONNECT,
        signal: this.#stop.signal,
        onEvent,
      }))
        record.take(response);
    } catch (error) {
      this.failures.push(`${record.name}: ${String(error)}`);
    }
  }

  /** One thing after the other happens to the network, until `stopping` says so. */
  async suffer(random: Random, stopping: () => boolean): Promise<void> {
    while (!stopping()) {
      await sleep(random.int(20, 600));
      // Mostly the device has no network; sometimes one gateway alone is out of reach.
      const hit = random.chance(0.7) ? this.proxies : [random.pick(this.proxies)];
      await sleep(disturb(random, hit));
      this.heal();
    }
  }

  heal(): void {
    for (const proxy of this.proxies) proxy.heal();
  }

  async close(): Promise<void> {
    this.heal();
    this.#stop.abort();
    await Promise.all(this.#streams);
    this.#client.close();
    for (const proxy of this.proxies) proxy.close();
  }
}

/** @returns for how many milliseconds it is to last */
function disturb(random: Random, proxies: readonly TcpProxy[]): number {
  const each = (what: (proxy: TcpProxy) => unknown) => proxies.forEach((proxy) => void what(proxy));
  const draw = random.next();
  if (draw < 0.45) {
    each((proxy) => proxy.reset());
    return 0;
  }
  if (draw < 0.65) {
    each((proxy) => proxy.cut());
    return random.int(20, 500);
  }
  if (draw < 0.8) {
    const towards = random.pick(['client', 'server'] as const);
    each((proxy) => proxy.halfClose(towards));
    return 0;
  }
  if (draw < 0.9) {
    const ms = random.int(5, 300);
    each((proxy) => proxy.delay(ms));
    return random.int(200, 1500);
  }
  if (draw < 0.93) {
    each((proxy) => proxy.halfOpen());
    return DEAD_MS;
  }
  each((proxy) => proxy.silence());
  return random.chance(0.3) ? DEAD_MS : random.int(50, 1000);
}

import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import type { DevicePlatform } from '../../services/gen/types.js';
import type { Config } from '../../services/lib/config/load.js';
import { type ClaimOptions, horizonMs } from '../../services/store/pushes.js';
import { type Fcm, type FcmOptions, serviceAccountFile, startFcm } from '../fakes/fcm/client.js';
import type { Received } from '../fakes/fcm/control-types.js';
import { alertRequest } from './alerts.js';
import type { TestApi } from './api.js';
import { loadDirectory } from './directory.js';
import { type PublishFault, type RunningRole, startTestCluster, type TestCluster } from './in-process.js';
import { untilTrue } from './until-true.js';

/** FCM's stand-in, with the settings by which the service finds it. */
export async function startPushTarget(
  t: TestContext,
  options: FcmOptions = {},
): Promise<{ fcm: Fcm; environment: Record<string, string> }> {
  const fcm = await startFcm(t, options);
  return { fcm, environment: { FCM_CREDENTIALS: serviceAccountFile(t, fcm), FCM_URL: fcm.url } };
}

/** A token as FCM would give it. */
export function newToken(): string {
  return `${randomBytes(11).toString('base64url')}:${randomBytes(70).toString('base64url')}`;
}

/** The messages that FCM accepted for a token, in order. */
export async function acceptedBy(fcm: Fcm, token: string): Promise<Received[]> {
  return (await fcm.received(token)).filter((each) => each.accepted);
}

/** The data of the messages that a token received, in order. */
export async function dataOf(fcm: Fcm, token: string): Promise<Record<string, string>[]> {
  return (await acceptedBy(fcm, token)).map(({ message }) => message!.data as Record<string, string>);
}

/** What a scrape of a role's metrics gives. */
export async function metricsOf({ runtime }: RunningRole): Promise<string> {
  const endpoint = await runtime.serveHttp('127.0.0.1:0');
  try {
    return await (await fetch(`http://${endpoint.address}/metrics`)).text();
  } finally {
    await endpoint.close();
  }
}

/** How a test claims pushes that are due. */
export function claiming(limit: number, claimMs = 60_000): ClaimOptions {
  return { limit, claimMs, horizonMs: horizonMs(0), busyUsers: [], busyDevices: [] };
}

export interface PushRow extends Record<string, unknown> {
  readonly device_id: number;
  readonly alert_id: number;
  readonly user_id: string;
  readonly state: string;
  readonly dismiss: boolean;
  readonly due_at: number | null;
  readonly attempts: number;
  readonly strikes: number;
  readonly error: string | null;
}

/** The stand-in for FCM and all that an alert passes on its way to `push`, which the test starts itself. */
export class PushCluster {
  constructor(
    readonly fcm: Fcm,
    readonly cluster: TestCluster,
    readonly api: TestApi,
  ) {}

  /** Registers a device. @returns its token */
  async register(user: string, platform: DevicePlatform = 'DEVICE_PLATFORM_ANDROID', token = newToken()) {
    await this.api.call('RegisterDevice', { platform, token }, { user });
    return token;
  }

  /** Creates an alert for these users. @returns its id */
  async create(userIds: string[], more: object = {}): Promise<number> {
    const { alert } = await this.api.call('CreateAlert', alertRequest({ recipients: { userIds }, ...more }));
    return alert!.alertId;
  }

  /** Starts the role without waiting until it has joined its group: it sends, and the sweep plans, before that. */
  start(config: Partial<Config> = {}): Promise<RunningRole> {
    return this.cluster.start('push', { ready: false, config });
  }

  /** Waits until FCM has accepted so many messages for a token. */
  async receives(token: string, count: number): Promise<Record<string, string>[]> {
    let data: Record<string, string>[] = [];
    const what = () => `${count} messages, but ${JSON.stringify(data)}`;
    await untilTrue(async () => (data = await dataOf(this.fcm, token)).length >= count, { timeoutMs: 30_000, what });
    return data;
  }

  /** The deliveries of an alert, by device. */
  rows(alertId: number): Promise<PushRow[]> {
    return this.cluster.store.sql<PushRow>('SELECT * FROM push_deliveries WHERE alert_id = $1 ORDER BY device_id', [
      alertId,
    ]);
  }

  /** Waits until the deliveries of an alert are in these states. */
  async settles(alertId: number, ...states: string[]): Promise<PushRow[]> {
    let rows: PushRow[] = [];
    const what = () => `states ${states.join()} but ${JSON.stringify(rows)}`;
    const settled = async () => {
      rows = await this.rows(alertId);
      return rows.map(({ state }) => state).join() === states.join();
    };
    await untilTrue(settled, { timeoutMs: 30_000, what });
    return rows;
  }
}

/** A cluster with the small directory. */
export async function startPushCluster(
  t: TestContext,
  environment: Readonly<Record<string, string>> = {},
  options: FcmOptions & { readonly onDelivered?: PublishFault } = {},
): Promise<PushCluster> {
  const target = await startPushTarget(t, options);
  const cluster = await startTestCluster(t, { PUSH_SWEEP_INTERVAL_MS: '300', ...target.environment, ...environment });
  const api = cluster.api(await cluster.start('alert-api'));
  // Joining a group of the in-process broker takes seconds.
  await Promise.all([
    cluster.start('fanout'),
    cluster.start('delivery', options.onDelivered === undefined ? {} : { fault: options.onDelivered }),
    loadDirectory(api),
  ]);
  return new PushCluster(target.fcm, cluster, api);
}

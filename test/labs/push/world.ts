// The real stack with all roles as processes and the stand-in for FCM, and devices by the thousand.
import { createHash, randomBytes } from 'node:crypto';
import type pg from 'pg';
import type { AlertClient } from '../../../services/client/client.js';
import type { AlertLevel } from '../../../services/gen/types.js';
import { type Fcm, fcmVariables, launchFcm } from '../../fakes/fcm/client.js';
import type { Received } from '../../fakes/fcm/control-types.js';
import { alertFor, loadDirectory, serviceClient } from '../../support/people.js';
import type { Environment, RoleProcess, Roles } from '../../support/role-process.js';
import { Stack } from '../../support/stack.js';
import { until } from '../../support/until-true.js';

export interface Person {
  readonly userId: string;
  readonly tokens: readonly string[];
}

export class PushWorld {
  #people = 0;
  client!: AlertClient;
  gateway!: RoleProcess;
  alertApi!: RoleProcess;
  fanout!: RoleProcess;
  delivery!: RoleProcess;

  private constructor(
    private readonly stack: Stack,
    readonly fcm: Fcm,
    readonly roles: Roles,
  ) {}

  /** Everything but the push role. */
  static async start(more: Environment = {}): Promise<PushWorld> {
    const stack = await Stack.start();
    const fcm = await launchFcm({ records: 200_000, bodies: false });
    const world = new PushWorld(stack, fcm, stack.roles({ ...fcmVariables(fcm, stack.dir), ...more }));
    try {
      await world.#start();
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  async #start(): Promise<void> {
    this.alertApi = this.roles.start('alert-api');
    this.gateway = this.roles.start('stream-gateway');
    this.fanout = this.roles.start('fanout');
    this.delivery = this.roles.start('delivery');
    await Promise.all([this.alertApi, this.gateway, this.fanout, this.delivery].map((role) => role.ready()));
    this.client = await serviceClient(this.alertApi, this.gateway);
  }

  get database(): pg.Pool {
    return this.stack.database;
  }

  /** Starts the push role, and does not wait for it. */
  launchPush(more: Environment = {}): RoleProcess {
    return this.roles.start('push', { PUSH_SWEEP_INTERVAL_MS: '1000', ...more });
  }

  async startPush(more: Environment = {}): Promise<RoleProcess> {
    return this.launchPush(more).ready();
  }

  /** New people with devices, which are put straight into the table. */
  async people(count: number, devices: number): Promise<Person[]> {
    const people = Array.from({ length: count }, () => ({
      userId: `push-${(this.#people += 1)}`,
      tokens: Array.from({ length: devices }, () => randomBytes(30).toString('hex')),
    }));
    await loadDirectory(
      this.client,
      people.map(({ userId }) => ({ userId, department: 'PUSH' })),
    );
    const rows = people.flatMap(({ userId, tokens }) => tokens.map((token) => ({ userId, token })));
    await this.database.query('INSERT INTO push_cursors SELECT unnest($1::text[]), 0', [
      people.map(({ userId }) => userId),
    ]);
    await this.database.query(
      `INSERT INTO devices SELECT nextval('device_ids'), d.user_id, d.token, d.hash, 1, '', '', now(), now()
       FROM unnest($1::text[], $2::text[], $3::bytea[]) AS d(user_id, token, hash)`,
      [
        rows.map(({ userId }) => userId),
        rows.map(({ token }) => token),
        rows.map(({ token }) => createHash('sha256').update(token).digest()),
      ],
    );
    return people;
  }

  /** @returns the alert's id */
  async alert(people: readonly Person[], title: string, level: AlertLevel = 'ALERT_LEVEL_ERROR'): Promise<number> {
    const { alert } = await this.client.createAlert(
      alertFor(
        people.map(({ userId }) => userId),
        title,
        { level },
      ),
    );
    return alert!.alertId;
  }

  /** How many deliveries of these alerts are in each state. */
  async states(alertIds: readonly number[]): Promise<Record<string, number>> {
    const { rows } = await this.database.query<{ state: string; count: string }>(
      'SELECT state, count(*) FROM push_deliveries WHERE alert_id = ANY($1::bigint[]) GROUP BY state',
      [alertIds],
    );
    return Object.fromEntries(rows.map(({ state, count }) => [state, Number(count)]));
  }

  /** Waits until so many deliveries of these alerts are sent, and all are. */
  async allSent(alertIds: readonly number[], count: number, timeoutMs = 120_000): Promise<void> {
    let states: Record<string, number> = {};
    const sent = async () => {
      states = await this.states(alertIds);
      return states['sent'] === count && Object.keys(states).length === 1;
    };
    await until(() => `${count} are sent, but ${JSON.stringify(states)}`, sent, timeoutMs);
  }

  /** What FCM accepted for these people, by token. */
  async accepted(people: readonly Person[]): Promise<Map<string, Received[]>> {
    const wanted = new Map(people.flatMap(({ tokens }) => tokens.map((token): [string, Received[]] => [token, []])));
    for (const received of await this.fcm.received()) {
      if (received.accepted) wanted.get(received.token)?.push(received);
    }
    return wanted;
  }

  async close(): Promise<void> {
    this.client?.close();
    try {
      await this.stack.stop();
    } finally {
      await this.fcm.close();
    }
  }
}

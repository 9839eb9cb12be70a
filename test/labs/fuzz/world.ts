import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { AlertClient } from '../../../services/client/client.js';
import { ROLE_NAMES } from '../../../services/domain/role-names.js';
import { ROOT } from '../../../services/lib/root.js';
import { Follower } from '../../support/follower.js';
import { loadDirectory, serviceClient } from '../../support/people.js';
import type { Environment, RoleProcess } from '../../support/role-process.js';
import { Stack } from '../../support/stack.js';
import { until } from '../../support/until-true.js';
import { CROWD, DEPARTMENTS, PROBE_DEPARTMENT, PROBES, READERS, VICTIMS } from './people.js';
import { RegistryProxy } from './registry-proxy.js';
import type { Report } from './report.js';

/**
 * One alert's content may have 64 KiB, and a gateway's cache counts alerts: with its 10,000 it would grow throughout.
 */
const CACHED_ALERTS = 50;
const COLLECT_GARBAGE = `--import=${join(ROOT, '.build', 'test', 'labs', 'fuzz', 'collect-garbage.js')}`;
/**
 * A forged event of an alert can take the place of the real one in fan-out's batch; what that loses is published again,
 * here after seconds instead of a minute.
 */
const RECONCILE = { RECONCILE_INTERVAL_MS: '3000', RECONCILE_GRACE_MS: '10000' };
const SETTLE_MS = 1500;
const SAMPLES = 4;
const MIB = 1_048_576;

/** What a role holds at a moment when nothing is asked of it. */
export interface Footprint {
  readonly rssMib: number;
  /** Heap and buffers that are still referred to. */
  readonly liveMib: number;
  readonly openStreams: number;
}

/** The real stack with every role as a process, people, streams that watch, and what is expected of all. */
export class World {
  readonly expected = new Map<number, readonly string[]>();
  readonly #linesRead = new Map<string, number>();

  private constructor(
    readonly report: Report,
    readonly stack: Stack,
    readonly environment: Environment,
    readonly registry: RegistryProxy,
    readonly processes: ReadonlyMap<string, RoleProcess>,
    readonly client: AlertClient,
    readonly followers: readonly Follower[],
  ) {}

  static async start(report: Report): Promise<World> {
    const stack = await Stack.start();
    const registry = await RegistryProxy.start(stack.registry.url);
    const environment = { ...stack.environment, SCHEMA_REGISTRY_URL: registry.url };
    const roles = stack.roles({
      ...environment,
      ...RECONCILE,
      ALERT_CACHE_MAX: String(CACHED_ALERTS),
      NODE_OPTIONS: COLLECT_GARBAGE,
    });
    const processes = new Map<string, RoleProcess>(ROLE_NAMES.map((name) => [name, roles.start(name)]));
    await Promise.all([...processes.values()].map((role) => role.ready()));
    const client = await serviceClient(processes.get('alert-api')!, processes.get('stream-gateway'));
    await loadDirectory(client, [
      ...[...PROBES, ...READERS, ...VICTIMS].map((userId) => ({ userId, department: PROBE_DEPARTMENT })),
      ...CROWD.map((userId, index) => ({ userId, department: DEPARTMENTS[index % DEPARTMENTS.length]! })),
    ]);
    const { database } = stack;
    // Nothing crashes here, and waiting for the disk is what most requests would do most of their time.
    await database.query('ALTER SYSTEM SET fsync = off');
    await database.query('SELECT pg_reload_conf()');
    const followers = [...PROBES, ...VICTIMS].map((userId) => new Follower(client, userId));
    await Promise.all(followers.map((follower) => follower.live()));
    return new World(report, stack, environment, registry, processes, client, followers);
  }

  get database(): pg.Pool {
    return this.stack.database;
  }

  get alertApi(): RoleProcess {
    return this.processes.get('alert-api')!;
  }

  get gateway(): RoleProcess {
    return this.processes.get('stream-gateway')!;
  }

  /** An alert was acknowledged: from now on it must reach these, too. */
  expect(alertId: number, userIds: readonly string[]): void {
    this.expected.set(alertId, [...(this.expected.get(alertId) ?? []), ...userIds]);
  }

  /** What is in inboxes, deleted or not, as `user alert`. */
  async deliveries(): Promise<Set<string>> {
    const { rows } = await this.database.query<{ pair: string }>(
      "SELECT user_id || ' ' || alert_id AS pair FROM alert_statuses WHERE user_id <> ALL($1::text[])",
      [CROWD],
    );
    return new Set(rows.map(({ pair }) => pair));
  }

  async epoch(): Promise<number> {
    const { rows } = await this.database.query<{ epoch: string }>('SELECT epoch FROM service_state');
    return Number(rows[0]!.epoch);
  }

  /** Waits until whatever was acknowledged is in its inboxes and was seen by the streams. */
  async settled(timeoutMs: number): Promise<void> {
    const missing = async () => {
      const has = await this.deliveries();
      return [...this.expected].flatMap(([alertId, users]) =>
        users.map((userId) => `${userId} ${alertId}`).filter((pair) => !has.has(pair)),
      );
    };
    await until('all alerts are in their inboxes', async () => (await missing()).length === 0, timeoutMs).catch(
      async () => {
        this.report.fail('delivery', 'acknowledged alerts are in no inbox', (await missing()).slice(0, 10));
      },
    );
    await this.#checkStreams();
  }

  /** The streams of the probes have seen each number once, in order. */
  async #checkStreams(): Promise<void> {
    const { rows } = await this.database.query<{ user_id: string; last: string }>(
      'SELECT user_id, last_seq AS last FROM inboxes WHERE user_id = ANY($1::text[])',
      [PROBES],
    );
    for (const { user_id: userId, last } of rows) {
      const follower = this.followers.find((each) => each.userId === userId)!;
      try {
        await follower.seen(Number(last));
        const wrong = follower.sequences.findIndex((sequence, index) => sequence !== index + 1);
        if (wrong !== -1)
          this.report.fail('streams', `${userId}: number ${follower.sequences[wrong]} at place ${wrong + 1}`, '');
      } catch (error) {
        this.report.fail('streams', (error as Error).message, '');
      }
    }
  }

  /** No process has ended, and none has logged what may never happen. */
  checkProcesses(): void {
    for (const [name, role] of this.processes) {
      if (!role.running) this.report.fail('processes', `${name} has ended`, role.noise.slice(-20).join('\n'));
      for (const line of role.lines.slice(this.#linesRead.get(name) ?? 0)) {
        const fatal = line.level >= 60 || /failed unexpectedly|could not be identified|unattended/.test(line.msg);
        if (line.msg === 'lost user-alert events were published again') this.report.note('reconcile', line.msg);
        if (fatal) this.report.fail('processes', `${name} logged: ${line.msg}`, JSON.stringify(line));
      }
      this.#linesRead.set(name, role.lines.length);
    }
  }

  /** What each role holds when it has come to rest and collected its garbage: the least of a few samples. */
  async footprints(): Promise<Map<string, Footprint>> {
    const found = new Map<string, Footprint>();
    for (let sample = 0; sample < SAMPLES; sample += 1) {
      await sleep(SETTLE_MS);
      for (const [name, role] of this.processes) {
        if (!role.running) continue;
        const { rss, live } = await collectGarbage(role);
        const before = found.get(name) ?? { rssMib: Infinity, liveMib: Infinity };
        const openStreams = name === 'stream-gateway' ? await role.metric('ssom_stream_open') : 0;
        found.set(name, {
          rssMib: Math.min(before.rssMib, rss / MIB),
          liveMib: Math.min(before.liveMib, live / MIB),
          openStreams,
        });
      }
    }
    return found;
  }

  /** How many sockets each role has open. */
  sockets(): Map<string, number> {
    const running = [...this.processes].filter(([, role]) => role.running);
    return new Map(running.map(([name, { pid }]) => [name, sockets(pid)]));
  }

  async stop(): Promise<void> {
    await Promise.all(this.followers.map((follower) => follower.close().catch(() => undefined)));
    this.client.close();
    await this.stack.stop().catch((error: Error) => {
      this.report.fail('processes', 'a role did not shut down in order', error.message);
    });
    await this.registry.close();
  }
}

/** @returns bytes; see collect-garbage.ts */
async function collectGarbage(role: RoleProcess): Promise<{ rss: number; live: number }> {
  const from = role.lines.length;
  const said = () => role.lines.slice(from).find(({ msg }) => msg === 'garbage collected');
  role.signal('SIGUSR2');
  const { rss, live } = await until(`${role.role} collects its garbage`, said);
  return { rss: Number(rss), live: Number(live) };
}

function sockets(pid: number): number {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).filter((name) => {
    try {
      return readlinkSync(`${folder}/${name}`).startsWith('socket:');
    } catch {
      return false;
    }
  }).length;
}

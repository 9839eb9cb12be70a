import type pg from 'pg';
import type { GroupRole } from '../../../services/events/groups.js';
import { type Config, loadConfig } from '../../../services/lib/config/load.js';
import type { RoleProcess, Roles } from '../../support/role-process.js';
import type { Stack } from '../../support/stack.js';
import { until } from '../../support/until-true.js';
import type { Report, Say } from '../frame/command-line.js';
import { createLargeAlerts, fillDirectory, fillUserAlerts, userId } from './fill.js';
import { workedOff } from './lag.js';
import { type Held, MemoryWatch } from './memory.js';
import { CountingStream } from './streams.js';

/** Megabytes that a role may hold resident; with the measured figures in README.md. */
const LIMIT_MB = 512;
const LARGE_ALERTS = 20_000;
const STREAMS = 300;
/** Of these, so many do not read until the backlog is worked off. */
const SLOW_STREAMS = 100;
const PATIENCE_MS = 900_000;

/** How many there were of something, and how many seconds they took. */
type Pace = readonly [records: number, seconds: number];

/** Fills inboxes and topics while nobody consumes, has the roles work it off, and watches their memory. */
export async function workOffBacklog(stack: Stack, records: number, say: Say): Promise<Report> {
  const run = new BacklogRun(stack, records, say);
  try {
    return await run.run();
  } finally {
    run.close();
  }
}

class BacklogRun {
  readonly #config: Config;
  readonly #roles: Roles;
  readonly #streams: CountingStream[] = [];
  readonly #held = new Map<string, Held>();
  readonly #paces: Record<string, Pace> = {};

  constructor(
    private readonly stack: Stack,
    private readonly records: number,
    private readonly say: Say,
  ) {
    this.#config = loadConfig({ PROFILE: 'dev', ...stack.environment });
    this.#roles = stack.roles({ LOG_LEVEL: 'info' });
  }

  async run(): Promise<Report> {
    const rows = await this.#fill();
    const gateway = await this.#openStreams();
    await this.#workOff(gateway, rows);
    await this.#catchUpStreams(gateway);
    const problems = [
      ...(await problemsOf(this.stack.database, rows)),
      ...this.#streams.flatMap(({ problem }) => problem ?? []),
      ...[...this.#held]
        .filter(([, { peak }]) => peak > LIMIT_MB)
        .map(([role, { peak }]) => `${role} held ${peak.toFixed(0)} MB; the limit is ${LIMIT_MB}`),
    ];
    return {
      fine: problems.length === 0,
      text: [...this.#table(), ...problems.map((problem) => `WRONG ${problem}`)].join('\n'),
      json: { records: this.records, held: Object.fromEntries(this.#held), seconds: this.#paces, problems },
    };
  }

  close(): void {
    for (const stream of this.#streams) stream.close();
  }

  /** @returns how many rows the inboxes will have */
  async #fill(): Promise<number> {
    const { stack, records, say } = this;
    const alertApi = await this.#roles.start('alert-api').ready();
    await fillDirectory(stack.database);
    const watch = this.#watch(alertApi);
    say(`${LARGE_ALERTS} large alerts by CreateAlert`);
    const largeRows = await createLargeAlerts(alertApi.grpc, LARGE_ALERTS);
    await until('all are published', async () => (await alertApi.metric('ssom_outbox_depth')) === 0);
    watch.stop();
    say(`${records} records into user-alert-topic`);
    await fillUserAlerts(this.#config, stack.database, records, (done) => say(`  ${done}`));
    return records + largeRows;
  }

  async #openStreams(): Promise<RoleProcess> {
    const gateway = await this.#roles.start('stream-gateway').ready();
    for (let index = 0; index < STREAMS; index += 1)
      this.#streams.push(new CountingStream(gateway.grpc, userId(index)));
    await until(
      () => `all streams are live; ${this.#streams.find(({ problem }) => problem)?.problem ?? 'no problem'}`,
      () => this.#streams.every(({ live }) => live),
      PATIENCE_MS / 10,
    );
    for (const stream of this.#slow()) stream.pause();
    return gateway;
  }

  #slow(): readonly CountingStream[] {
    return this.#streams.slice(0, SLOW_STREAMS);
  }

  async #workOff(gateway: RoleProcess, rows: number): Promise<void> {
    this.say('fanout, delivery and push start; the gateway stands still meanwhile');
    gateway.signal('SIGSTOP');
    const watch = this.#watch(...['fanout', 'delivery', 'push'].map((role) => this.#roles.start(role)));
    const started = performance.now();
    const seconds = async (role: GroupRole) => {
      await workedOff(this.#config, { role, timeoutMs: PATIENCE_MS, say: this.say });
      return (performance.now() - started) / 1000;
    };
    this.#paces['large alerts fanned out'] = [LARGE_ALERTS, await seconds('fanout')];
    this.#paces['user-alerts delivered'] = [rows, await seconds('delivery')];
    await seconds('push');
    watch.stop();
  }

  async #catchUpStreams(gateway: RoleProcess): Promise<void> {
    this.say('the gateway goes on');
    const watch = this.#watch(gateway);
    const started = performance.now();
    gateway.signal('SIGCONT');
    const { rows } = await this.stack.database.query<{ user_id: string; last_seq: string }>(
      'SELECT user_id, last_seq FROM inboxes WHERE last_seq > 0',
    );
    const last = new Map(rows.map(({ user_id, last_seq }) => [user_id, Number(last_seq)]));
    const arrived = (some: readonly CountingStream[]) => () =>
      some.every((stream) => stream.problem !== undefined || stream.sequence >= last.get(stream.userId)!);
    const reading = this.#streams.slice(SLOW_STREAMS);
    await until('the streams that read have seen everything', arrived(reading), PATIENCE_MS);
    for (const stream of this.#slow()) stream.resume();
    await until('those that did not read have caught up', arrived(this.#slow()), PATIENCE_MS);
    const changes = this.#streams.reduce((sum, { sequence }) => sum + sequence, 0);
    this.#paces[`changes to ${STREAMS} streams`] = [changes, (performance.now() - started) / 1000];
    watch.stop();
  }

  /** Notes what these hold from now until it is stopped. */
  #watch(...roles: readonly RoleProcess[]): { stop: () => void } {
    const watch = new MemoryWatch(Object.fromEntries(roles.map(({ role, pid }) => [role, pid])));
    return {
      stop: () => {
        for (const [role, held] of watch.stop()) this.#held.set(role, held);
      },
    };
  }

  #table(): string[] {
    const mb = (value: number) => value.toFixed(0).padStart(7);
    return [
      `role             before   mean   peak  after  MB resident; limit ${LIMIT_MB}`,
      ...[...this.#held].map(
        ([role, { before, mean, peak, after }]) => `${role.padEnd(15)} ${[before, mean, peak, after].map(mb).join('')}`,
      ),
      ...Object.entries(this.#paces).map(
        ([what, [count, took]]) => `${what}: ${count} in ${took.toFixed(1)} s, ${Math.round(count / took)}/s`,
      ),
    ];
  }
}

/**
 * What is wrong with the inboxes: each must have all its rows, numbered from 1 without gaps, since a repeat takes a
 * number.
 */
async function problemsOf(database: pg.Pool, rows: number): Promise<string[]> {
  const { rows: counted } = await database.query<{ rows: string; uneven: string; missing: string }>(
    `SELECT sum(n) AS rows, count(*) FILTER (WHERE last_seq <> n OR unread_count <> n) AS uneven,
            count(*) FILTER (WHERE lowest <> 1 OR highest <> n) AS missing
     FROM inboxes JOIN (
       SELECT user_id, count(*) AS n, min(seq) AS lowest, max(seq) AS highest FROM alert_statuses GROUP BY user_id
     ) s USING (user_id)`,
  );
  const { rows: found, uneven, missing } = counted[0]!;
  return [
    Number(found) === rows ? '' : `${found} rows are in the inboxes instead of ${rows}`,
    uneven === '0' ? '' : `${uneven} inboxes have handed out more or fewer numbers than they have rows`,
    missing === '0' ? '' : `${missing} inboxes have gaps`,
  ].filter((problem) => problem !== '');
}

import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { steppedClock } from '../clock-shift.js';
import type { World } from '../world.js';
import { STEP_MS, STEPS } from './clocks.js';
import { AWAY_MS, EVERYTHING, type Fault, holdsUpNobody, lasting, NETWORK_MS } from './fault.js';

/** How much PostgreSQL loses. */
const LOST_MS = 10_000;
/** Longer than two statements of the service may take, which are 10 s each. */
const HOLD_MS = 30_000;
const HELD = ['quiet-1', 'solo-1'];

/** What an operator, or a failover that stops half-way, does to a server whose connections stay. */
async function setReadOnly({ database }: World, readOnly: boolean): Promise<void> {
  await database.query(
    readOnly
      ? 'ALTER SYSTEM SET default_transaction_read_only = on'
      : 'ALTER SYSTEM RESET default_transaction_read_only',
  );
  await database.query('SELECT pg_reload_conf()');
}

export const POSTGRES: readonly Fault[] = [
  {
    name: 'restart PostgreSQL',
    disturbs: ['postgres'],
    async run({ world }) {
      await world.postgres.stop();
      await world.startPostgres();
      return Date.now();
    },
  },
  {
    name: 'kill PostgreSQL',
    disturbs: ['postgres'],
    async run({ world }) {
      await world.postgres.kill();
      await sleep(AWAY_MS);
      await world.startPostgres();
      return Date.now();
    },
  },
  {
    name: 'end all PostgreSQL backends',
    disturbs: ['postgres'],
    async run({ world }) {
      for (let round = 0; round < 5; round += 1) {
        await world.database.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ssom-alert'`,
        );
        await sleep(500);
      }
      return Date.now();
    },
  },
  {
    name: 'exhaust PostgreSQL connections',
    disturbs: ['postgres'],
    async run({ world }) {
      const { rows } = await world.database.query<{ max: number }>(
        `SELECT current_setting('max_connections')::int AS max`,
      );
      const hoarders: pg.Client[] = [];
      const hoard = async () => {
        while (hoarders.length <= rows[0]!.max) {
          const client = new pg.Client({ connectionString: world.postgres.url, application_name: 'hoarder' });
          client.on('error', () => undefined);
          await client.connect();
          hoarders.push(client);
        }
      };
      const until = Date.now() + NETWORK_MS;
      while (Date.now() < until) {
        await hoard().catch(() => undefined);
        // Those that the roles hold already are taken from them, so that they have to ask for new ones.
        await world.database
          .query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ssom-alert'`)
          .catch(() => undefined);
        await sleep(500);
      }
      await Promise.all(hoarders.map((client) => client.end().catch(() => undefined)));
      return Date.now();
    },
  },
  lasting(
    'PostgreSQL read-only',
    ['postgres'],
    NETWORK_MS,
    ({ world }) => setReadOnly(world, true),
    ({ world }) => setReadOnly(world, false),
  ),
  lasting(
    'PostgreSQL demoted to a standby',
    ['postgres'],
    NETWORK_MS,
    ({ world }) => world.demotePostgres(),
    ({ world }) => world.promotePostgres(),
  ),
  {
    name: 'clock of PostgreSQL steps',
    disturbs: ['postgres'],
    async run({ world }) {
      const clock = steppedClock();
      await world.postgres.stop();
      await world.startPostgres(clock.environment);
      for (const shift of STEPS) {
        clock.step(shift);
        await sleep(STEP_MS);
      }
      await world.postgres.stop();
      await world.startPostgres();
      return Date.now();
    },
  },
  {
    name: 'PostgreSQL loses its last commits',
    disturbs: EVERYTHING,
    async run({ world, ledger }) {
      const keptUntil = await world.copyPostgres();
      await sleep(LOST_MS);
      await world.restorePostgres();
      ledger.lostCommits(keptUntil, Date.now());
      return Date.now();
    },
  },
  {
    name: 'inboxes that somebody holds',
    disturbs: ['postgres', 'delivery'],
    async run(stage) {
      const holder = await stage.world.database.connect();
      await holdsUpNobody(stage, 'while an inbox was held', async () => {
        try {
          await holder.query('BEGIN');
          // One whose owner only gets alerts, and one whose owner also reads them.
          await holder.query('SELECT FROM inboxes WHERE user_id = ANY($1) ORDER BY user_id FOR UPDATE', [HELD]);
          await sleep(HOLD_MS);
        } finally {
          await holder.query('ROLLBACK').catch(() => undefined);
          holder.release();
        }
      });
      return Date.now();
    },
  },
  lasting(
    'PostgreSQL disk full',
    ['postgres'],
    NETWORK_MS,
    async ({ world }) => {
      // A real server's answer to an insert when its disk is full.
      await world.database.query(`
        CREATE OR REPLACE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$
          BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$`);
      for (const table of ['alerts', 'alert_statuses', 'outbox', 'alert_progress'])
        await world.database.query(
          `CREATE TRIGGER disk_full BEFORE INSERT OR UPDATE ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION disk_full()`,
        );
    },
    async ({ world }) => {
      for (const table of ['alerts', 'alert_statuses', 'outbox', 'alert_progress'])
        await world.database.query(`DROP TRIGGER disk_full ON ${table}`);
    },
  ),
];

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { freePorts, startPostgres } from '#stack';
import { ROOT } from '../../../services/lib/root.js';
import type { Release } from '../../support/last-release.js';
import { cleanEnvironment, RoleProcess } from '../../support/role-process.js';
import { privateStart, stackFolder } from '../../support/stack.js';
import { Creating, type Taken } from './creating.js';
import { fill } from './filled-database.js';

export interface TablesOptions {
  readonly release: Release;
  readonly entries: number;
  /** In the place of the migrations: a change that writes every alert anew, and must be seen to hold callers up. */
  readonly control?: boolean;
  readonly say: (line: string) => void;
}

export interface Phase extends Taken {
  readonly name: string;
  readonly seconds: number;
}

export interface TablesResult {
  readonly entries: number;
  readonly fillSeconds: number;
  readonly phases: readonly Phase[];
}

const CLI = join(ROOT, '.build', 'services', 'cli', 'ssom-alert.js');
const QUIET_MS = 5000;

/**
 * A database of the last release, filled, with the last release's alert-api and callers on it: this release's
 * migrations, and a step back where there is one. Kafka is away, which concerns nobody who creates alerts.
 */
export async function runTables({ release, entries, control = false, say }: TablesOptions): Promise<TablesResult> {
  const place = stackFolder();
  const postgres = await startPostgres({ ...privateStart(place.path), port: 0 });
  const database = new pg.Pool({ connectionString: postgres.url, max: 2 });
  const [kafka, registry] = (await freePorts(2)) as [number, number];
  const env = {
    PROFILE: 'dev',
    DATABASE_URL: postgres.url,
    KAFKA_BOOTSTRAP_SERVERS: `127.0.0.1:${kafka}`,
    SCHEMA_REGISTRY_URL: `http://127.0.0.1:${registry}`,
  };
  const command = async (cli: string, ...args: string[]) =>
    (await promisify(execFile)(process.execPath, [cli, ...args], { env: cleanEnvironment(env) })).stdout.trim();
  let api: RoleProcess | undefined;
  let creating: Creating | undefined;
  try {
    say(await command(release.cli, 'migrate', '--database-only'));
    const migrations = async () =>
      Number((await database.query<{ n: string }>('SELECT count(*) AS n FROM schema_migrations')).rows[0]!.n);
    const before = await migrations();
    const started = performance.now();
    await fill(database, entries, say);
    const fillSeconds = (performance.now() - started) / 1000;
    api = new RoleProcess(
      'alert-api',
      { ...env, SET_UP_AT_START: 'false', GRPC_LISTEN: '127.0.0.1:0', HTTP_LISTEN: '127.0.0.1:0' },
      { entry: release.main },
    );
    await api.ready();
    creating = new Creating(api.grpc);
    const callers = creating;
    const phases: Phase[] = [];
    const phase = async (name: string, work: () => Promise<string>) => {
      const from = performance.now();
      let said = '';
      const taken = await callers.during(async () => (said = await work()));
      phases.push({ name, seconds: (performance.now() - from) / 1000, ...taken });
      say(`${name}: ${taken.calls} calls, the longest ${taken.longestMs.toFixed(0)} ms ${said}`);
    };
    const quiet = async () => (await sleep(QUIET_MS), '');
    await phase('before', quiet);
    if (control) {
      const rewrite = 'ALTER TABLE alerts ADD COLUMN tried uuid DEFAULT gen_random_uuid()';
      await phase('every alert is written anew', async () => (await database.query(rewrite), ''));
    } else {
      await phase('migrate', () => command(CLI, 'migrate', '--database-only'));
      await phase('after', quiet);
      const added = (await migrations()) - before;
      if (added === 0) say('no migration came since the last release');
      else await phase('migrate --back', () => command(CLI, 'migrate', '--back').catch(refusal));
      await phase('migrate again', () => command(CLI, 'migrate', '--database-only'));
    }
    await callers.stop();
    return { entries, fillSeconds, phases };
  } finally {
    await creating?.stop().catch(() => undefined);
    await api?.stop();
    await database.end();
    await postgres.stop();
    place.remove();
  }
}

/** What cannot be taken back is refused with a reason, which is right as well. @throws any other error */
function refusal(error: unknown): string {
  const { stderr } = error as { stderr?: string };
  if (stderr === undefined || !/cannot be (undone|taken back)/.test(stderr)) throw error;
  return stderr.trim();
}

/** A caller waited for longer. */
const BLOCKED_MS = 1000;

/** The phases in which a caller waited for too long. */
export const blocked = ({ phases }: TablesResult): Phase[] => phases.filter(({ longestMs }) => longestMs > BLOCKED_MS);

import { after, type TestContext } from 'node:test';
import pg from 'pg';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../services/launch/embedded/postgres.js';
import { loadConfig } from '../../services/lib/config/load.js';
import { silentLogger } from '../../services/lib/logging.js';
import { Database, type Row } from '../../services/lib/postgres.js';
import { setGrants, userName, usersSql } from '../../services/store/database-users.js';
import { DATABASE_USERS, type DatabaseUser, OWNER } from '../../services/store/grants.js';
import { migrate } from '../../services/store/migrate.js';
import { atExit, killPostgresOf, temporaryFolder } from './cleanup.js';
import { defer } from './defer.js';
import { patientDatabase } from './until-true.js';

/** One PostgreSQL for this test file, without durability; started when it is first asked for. */
let server: Promise<EmbeddedPostgres> | undefined;
let template: Promise<string> | undefined;
let databases = 0;

/** Starts this file's PostgreSQL, or finds it. It stops when the file's tests are done. */
export function startTestPostgres(): Promise<EmbeddedPostgres> {
  server ??= (async () => {
    const folder = temporaryFolder('ssom-pg-');
    const takeBack = atExit(() => killPostgresOf(folder.path));
    const postgres = await startEmbeddedPostgres({
      dataDir: folder.path,
      port: 0,
      logger: silentLogger(),
      durable: false,
    });
    return {
      url: postgres.url,
      stop: async () => {
        await postgres.stop();
        takeBack();
        folder.remove();
      },
    };
  })();
  return server;
}

after(async () => {
  const running = server;
  server = undefined;
  await (await running)?.stop();
});

/** The URL of another database of the same server. */
function databaseUrl(url: string, name: string): string {
  const other = new URL(url);
  other.pathname = `/${name}`;
  return other.href;
}

async function administer(sql: string): Promise<void> {
  const { url } = await startTestPostgres();
  const client = new pg.Client({ connectionString: databaseUrl(url, 'postgres') });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** Migrates one database once; every test gets a copy of it. */
function migratedTemplate(): Promise<string> {
  template ??= (async () => {
    const { url } = await startTestPostgres();
    await administer('CREATE DATABASE migrated');
    const migrated = databaseUrl(url, 'migrated');
    await migrate(migrated, silentLogger());
    await makeUsers(migrated);
    return 'migrated';
  })();
  return template;
}

const PREFIX = 'ssom_';
const PASSWORD = 'of-a-test';

/** The users of the roles, with the least each needs, and the owner of the tables. */
async function makeUsers(url: string): Promise<void> {
  const database = new Database(url, loadConfig(patientDatabase()), silentLogger());
  try {
    await database.query({ text: usersSql(PREFIX) });
    for (const user of [OWNER, ...DATABASE_USERS] as const)
      await database.query({ text: `ALTER ROLE ${userName(PREFIX, user)} PASSWORD '${PASSWORD}'` });
    await setGrants(database, PREFIX, false);
  } finally {
    await database.close();
  }
}

/** The URL of the same database for the user of a role. */
export function urlOf(url: string, user: DatabaseUser | typeof OWNER): string {
  const other = new URL(url);
  other.username = userName(PREFIX, user);
  other.password = PASSWORD;
  return other.href;
}

export interface TestDatabase {
  readonly url: string;
  /** A pool of the service's own kind, closed when the test ends. */
  readonly database: Database;
  /** Runs one statement and returns its rows. */
  sql<R extends Row = Row>(text: string, values?: unknown[]): Promise<R[]>;
  /** Another pool on the same database, as a second process would have; closed when the test ends. */
  connect(): Database;
}

/** A fresh, migrated database for one test. */
export async function createTestDatabase(t: TestContext): Promise<TestDatabase> {
  const name = `test_${(databases += 1)}`;
  await administer(`CREATE DATABASE ${name} TEMPLATE ${await migratedTemplate()}`);
  return openDatabase(t, databaseUrl((await startTestPostgres()).url, name));
}

/** An empty database that was not migrated. */
export async function createEmptyDatabase(t: TestContext): Promise<TestDatabase> {
  const name = `empty_${(databases += 1)}`;
  await administer(`CREATE DATABASE ${name}`);
  return openDatabase(t, databaseUrl((await startTestPostgres()).url, name));
}

/** Connects to any database by its URL; pools are closed when the test ends. */
export function openDatabase(t: TestContext, url: string): TestDatabase {
  const connect = () => {
    const database = new Database(url, loadConfig(patientDatabase()), silentLogger());
    defer(t, () => database.close());
    return database;
  };
  const database = connect();
  return {
    url,
    database,
    connect,
    sql: async <R extends Row = Row>(text: string, values: unknown[] = []) =>
      (await database.query<R>({ text, values })).rows,
  };
}

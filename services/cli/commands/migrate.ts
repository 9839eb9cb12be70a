import type { ForeignVersion } from '../../events/schemas/register.js';
import type { Config } from '../../lib/config/load.js';
import type { Logger } from '../../lib/logging.js';
import { type AddCommands, examples } from '../command.js';
import { type Context, FAILED, OK, print, say, UsageError } from '../context.js';
import { count, oneLine } from '../views/text.js';

interface MigrateFlags {
  readonly databaseOnly?: boolean;
  readonly schemasOnly?: boolean;
  readonly back?: boolean;
}

export const addMigrate: AddCommands = (program, context, done) => {
  program
    .command('migrate')
    .summary('bring the database and the schema registry up to date')
    .description(
      "Creates or changes the database's tables and registers the Avro schemas, as the environment variables of the " +
        'service name them. Doing it again changes nothing; run it at every deploy, before the roles.',
    )
    .option('--database-only', 'leave the schema registry alone')
    .option('--schemas-only', 'leave the database alone')
    .option('--back', 'take the last migration of the database back, if nothing is lost by it; schemas stay')
    .addHelpText(
      'after',
      examples(
        'PROFILE=dev ssom-alert migrate',
        'PROFILE=prod DATABASE_URL_FILE=/run/secrets/db ssom-alert migrate --database-only',
        'PROFILE=prod DATABASE_URL_FILE=/run/secrets/db ssom-alert migrate --back',
      ),
    )
    .action(async (flags: MigrateFlags) => done(await migrateCommand(context, flags)));
};

async function migrateCommand(context: Context, { databaseOnly, schemasOnly, back }: MigrateFlags): Promise<number> {
  if (databaseOnly && schemasOnly)
    throw new UsageError('--database-only and --schemas-only leave nothing to do; give one');
  if (back && schemasOnly)
    throw new UsageError('--back is about the database, which --schemas-only leaves alone; give one');
  const { loadConfig } = await import('../../lib/config/load.js');
  const config = loadConfig(context.environment);
  const missing = [
    schemasOnly !== true && config.databaseUrl === '' ? 'DATABASE_URL' : '',
    // Without a registry of its own the embedded profile runs one in its process, and a database alone can be meant.
    databaseOnly !== true &&
    back !== true &&
    config.schemaRegistryUrl === '' &&
    (schemasOnly || config.profile === 'prod')
      ? 'SCHEMA_REGISTRY_URL'
      : '',
  ].filter((name) => name !== '');
  if (missing.length > 0) {
    say(context, `PROFILE=${config.profile} without ${missing.join(', ')}: there is nothing to migrate from here.`);
    say(context, "'npm start' brings its own PostgreSQL and registry, and keeps them up to date itself.");
    say(context, `For others set PROFILE=dev or prod, or ${missing.join(', ')}.`);
    return FAILED;
  }
  if (back) {
    await migrateBack(context, config);
    return OK;
  }
  if (schemasOnly !== true) await migrateDatabase(context, config);
  if (databaseOnly !== true) await migrateSchemas(context, config);
  return OK;
}

async function migrateDatabase(context: Context, { databaseUrl }: Config): Promise<void> {
  const { migrate } = await import('../../store/migrate.js');
  const applied = await inDatabase(databaseUrl, 'could not be migrated', migrate);
  const what =
    applied.length === 0 ? 'was up to date' : `${count(applied.length, 'migration')} applied: ${applied.join(', ')}`;
  await print(context, `database ${nameOf(databaseUrl)}: ${what}`);
}

async function migrateBack(context: Context, { databaseUrl }: Config): Promise<void> {
  const { migrateBack: back } = await import('../../store/migrate.js');
  const name = await inDatabase(databaseUrl, 'stays as it is', back);
  await print(context, `database ${nameOf(databaseUrl)}: ${name} was taken back`);
}

const nameOf = (databaseUrl: string) => {
  const { host, pathname } = new URL(databaseUrl);
  return `${host}${pathname}`;
};

async function inDatabase<T>(
  databaseUrl: string,
  what: string,
  work: (url: string, logger: Logger) => Promise<T>,
): Promise<T> {
  const { silentLogger } = await import('../../lib/logging.js');
  try {
    return await work(databaseUrl, silentLogger());
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    throw new Error(`the database ${nameOf(databaseUrl)} ${what}: ${message || code || String(error)}`, {
      cause: error,
    });
  }
}

async function migrateSchemas(context: Context, config: Config): Promise<void> {
  if (config.schemaRegistryUrl === '') {
    say(
      context,
      `schemas: PROFILE=${config.profile} has its registry in the service's process, which feeds it at its start`,
    );
    return;
  }
  const [{ findForeign, registerSchemas }, { RegistryClient, registryOptions }, { silentLogger }] = await Promise.all([
    import('../../events/schemas/register.js'),
    import('../../lib/registry/client.js'),
    import('../../lib/logging.js'),
  ]);
  const logger = silentLogger();
  const registry = new RegistryClient(registryOptions(config.schemaRegistryUrl, config, logger), logger);
  // Before anything is registered: an incompatible one is why ours may be refused.
  const { levels, versions } = await findForeign(config, registry);
  for (const version of versions) sayForeign(context, registry.url, version);
  const ids = Object.entries(await registerSchemas(config, registry));
  await print(context, `schema registry ${registry.url}: ${count(ids.length, 'subject')} registered`);
  for (const [subject, id] of ids) await print(context, `  ${subject}  id ${id}`);
  for (const { subject, level } of levels)
    say(context, `warning: the compatibility of ${subject} was ${level}; it is FULL_TRANSITIVE again`);
}

function sayForeign(context: Context, url: string, { subject, version, id, conflict }: ForeignVersion): void {
  const what = `${subject} version ${version} (id ${id}) is not among the schemas of this release`;
  if (conflict === undefined) {
    say(context, `note: ${what}; the roles can read it. It is of a newer release, or somebody else writes there.`);
    return;
  }
  say(context, `warning: ${what}, and the roles cannot read it: ${oneLine(conflict)}`);
  say(
    context,
    '  Records that are written with it become dead letters, and later versions of ours may be refused (409).',
  );
  say(
    context,
    `  Find out who registered it and stop that writer, then remove it: curl -X DELETE ${url}/subjects/${subject}/versions/${version}`,
  );
}

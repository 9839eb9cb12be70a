import type { Database } from '../../lib/postgres.js';
import { type AddCommands, examples } from '../command.js';
import { type Context, FAILED, OK, print, say } from '../context.js';
import { withDatabase } from '../io/database.js';
import { count } from '../views/text.js';

interface Flags {
  readonly userPrefix: string;
  readonly dryRun?: boolean;
}

/** Who may do what in PostgreSQL: a user for each role. */
export const addDatabase: AddCommands = (program, context, done) => {
  const database = program
    .command('database')
    .summary('users of PostgreSQL for the roles, with the least each needs')
    .description('A user of PostgreSQL for each role, which may do there what the role does and nothing else.');
  const prefix = ['--user-prefix <text>', "what the users' names begin with", 'ssom_'] as const;

  database
    .command('users')
    .summary('make the users, as an administrator of PostgreSQL')
    .description(
      'Makes the users that are missing, without passwords, which you give them then. Shuts everybody else out of the database, ' +
        'and gives its tables to the user migrate. DATABASE_URL is that of a superuser, or of one who may make roles and ' +
        'owns the database and its tables. Doing it again changes nothing.',
    )
    .option(...prefix)
    .option('--dry-run', 'print the SQL, for psql; nothing is asked of PostgreSQL')
    .addHelpText('after', examples('ssom-alert database users --dry-run | psql -d ssom', 'ssom-alert database users'))
    .action(async (flags: Flags) => done(await makeUsers(context, flags)));

  database
    .command('grants')
    .summary('give each user what its role needs, and take away what else it has')
    .description(
      'Sets the privileges of the users on all tables, as deploy/SECURITY.md lists them; what was granted by hand is taken away. ' +
        'DATABASE_URL is that of the owner of the tables (the user migrate). Run it after each `ssom-alert migrate`. Doing it ' +
        'again changes nothing.',
    )
    .option(...prefix)
    .option('--dry-run', 'only print the SQL of what is not as it should be')
    .addHelpText('after', examples('ssom-alert database grants --dry-run', 'ssom-alert database grants'))
    .action(async (flags: Flags) => done(await withDatabase(context, (db) => setAll(context, db, flags))));
};

async function makeUsers(context: Context, { userPrefix, dryRun }: Flags): Promise<number> {
  const { usersSql } = await import('../../store/database-users.js');
  const text = usersSql(userPrefix);
  if (dryRun) {
    await print(context, text);
    return OK;
  }
  return withDatabase(context, async (database) => {
    await database.query({ text });
    await print(context, `the users ${userPrefix}… are there; give each a password (\\password in psql)`);
    return OK;
  });
}

async function setAll(context: Context, database: Database, { userPrefix, dryRun }: Flags): Promise<number> {
  const { excessOf, setGrants } = await import('../../store/database-users.js');
  const statements = await setGrants(database, userPrefix, dryRun === true);
  for (const statement of statements) await print(context, `${statement};`);
  if (statements.length === 0) say(context, 'every user has what it needs and nothing else');
  else say(context, `${count(statements.length, 'statement')} ${dryRun ? 'would be' : 'were'} run`);
  const problems = await excessOf(database, userPrefix);
  for (const { user, problem } of problems) say(context, `problem: ${user} ${problem}, which no grant takes away`);
  return problems.length === 0 ? OK : FAILED;
}

import type { Database } from '../../lib/postgres.js';
import { type Context, FAILED, say } from '../context.js';

/** Lends the database of DATABASE_URL to a command. @returns the command's exit code */
export async function withDatabase(context: Context, work: (database: Database) => Promise<number>): Promise<number> {
  const [{ loadConfig }, { Database }, { silentLogger }] = await Promise.all([
    import('../../lib/config/load.js'),
    import('../../lib/postgres.js'),
    import('../../lib/logging.js'),
  ]);
  const config = loadConfig(context.environment);
  if (config.databaseUrl === '') {
    say(context, `PROFILE=${config.profile} without DATABASE_URL: there is no database to speak to.`);
    if (config.profile === 'embedded')
      say(
        context,
        "That of 'npm start' is ssom at 127.0.0.1:54329, its user too; the password is in DATA_DIR/postgres-password.",
      );
    return FAILED;
  }
  const database = new Database(config.databaseUrl, config, silentLogger());
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

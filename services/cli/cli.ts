import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { AlertClientError } from '../client/errors.js';
import { manyLines } from '../domain/text.js';
import { ConfigError } from '../lib/config/load.js';
import { ROOT } from '../lib/root.js';
import { examples, inWordsOfHelp, refuseRepeats } from './command.js';
import { addAlerts } from './commands/alerts.js';
import { addAudit } from './commands/audit.js';
import { addDatabase } from './commands/database.js';
import { addDevices } from './commands/devices.js';
import { addDirectory } from './commands/directory.js';
import { addDlq } from './commands/dlq.js';
import { addInbox } from './commands/inbox.js';
import { addKafka } from './commands/kafka.js';
import { addMigrate } from './commands/migrate.js';
import { addRepair } from './commands/repair.js';
import { addRun } from './commands/run.js';
import { addSchemas } from './commands/schemas.js';
import { addTop } from './commands/top.js';
import { type Context, FAILED, OK, say, TRY_AGAIN, USAGE, UsageError } from './context.js';
import { describeError, isOfTls, messageOf } from './views/problems.js';

/**
 * Runs a command.
 * @param args without the interpreter and the script
 * @returns the exit code: 0 done, 1 refused or failed, 2 the command line is wrong, 75 try again later, 130 ended by
 * Ctrl-C
 */
export async function main(args: readonly string[], context: Context): Promise<number> {
  let code = OK;
  const program = createProgram(context, (result) => (code = result));
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    // Commander has printed what it has to say.
    if (error instanceof CommanderError) return error.exitCode === 0 ? OK : USAGE;
    return reportFailure(context, error);
  }
}

function createProgram(context: Context, done: (code: number) => void): Command {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const program = new Command('ssom-alert')
    .description("SSOM's alert service: runs it, sets it up, and speaks to it.")
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      writeErr: (text) => void context.stderr.write(manyLines(text)),
      outputError: (text, write) => write(inWordsOfHelp(text)),
    })
    .configureHelp({ showGlobalOptions: false })
    .showHelpAfterError('(add --help for what there is)')
    .addHelpText(
      'after',
      examples(
        'ssom-alert directory load deploy/sample/directory.json',
        'ssom-alert alerts create --file deploy/sample/alerts.jsonl',
        'ssom-alert alerts watch --user op01 --from start',
      ) +
        '\nExit codes: 0 done, 1 refused or failed, 2 the command line is wrong, 75 the service is away or busy: try again,\n' +
        '130 ended by Ctrl-C.\n',
    );
  for (const add of [
    addRun,
    addMigrate,
    addSchemas,
    addDatabase,
    addDirectory,
    addAlerts,
    addInbox,
    addDevices,
    addDlq,
    addKafka,
    addRepair,
    addAudit,
    addTop,
  ])
    add(program, context, done);
  refuseRepeats(program);
  return program;
}

/**
 * What an error says of the database, and what to look at. PostgreSQL's errors reach us from the commands that speak to
 * it themselves, some of them with a word of ours around.
 */
async function ofDatabase(error: unknown): Promise<{ isAway: boolean; hint: string | undefined }> {
  const [{ isContention, isOutage, whatToMend }, { RegistryUnavailable }, { tlsFault }] = await Promise.all([
    import('../lib/postgres-errors.js'),
    import('../lib/registry/client.js'),
    import('../lib/tls-errors.js'),
  ]);
  const { cause } = Object(error) as { cause?: unknown };
  const isOfRegistry = error instanceof RegistryUnavailable;
  const hint = isOfRegistry ? undefined : (whatToMend(error) ?? whatToMend(cause));
  const isRefused = hint !== undefined || tlsFault(error) !== undefined;
  return { isAway: !isRefused && [error, cause].some((each) => isOutage(each) || isContention(each)), hint };
}

async function reportFailure(context: Context, error: unknown): Promise<number> {
  if (error instanceof UsageError) {
    say(context, `error: ${error.message}`);
    return USAGE;
  }
  if (error instanceof AlertClientError) {
    for (const line of describeError(error, '')) say(context, line);
    return error.canRetry && !isOfTls(error) ? TRY_AGAIN : FAILED;
  } else if (error instanceof ConfigError) {
    say(context, error.message);
  } else {
    say(context, `error: ${messageOf(error)}`);
    const { isAway, hint } = await ofDatabase(error);
    if (hint !== undefined) say(context, hint);
    if (isAway) return TRY_AGAIN;
  }
  return FAILED;
}

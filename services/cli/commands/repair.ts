import type { Database } from '../../lib/postgres.js';
import { type AddCommands, examples } from '../command.js';
import { type Context, OK, print } from '../context.js';
import { withDatabase } from '../io/database.js';
import { operator } from '../io/operator.js';
import { parseTime } from '../io/times.js';
import { count } from '../views/text.js';

interface ReconcileFlags {
  readonly since?: number;
  readonly dryRun?: boolean;
}

/** What operators do after something was lost; straight in the database. */
export const addRepair: AddCommands = (program, context, done) => {
  program
    .command('reconcile')
    .summary('have all inboxes checked again')
    .description(
      'Has the fan-out role look at alerts again, complete or not, and send what is missing in an inbox: by itself it looks at ' +
        'incomplete ones only, every minute. What a user deleted and what lies among the dead letters stays as it is.',
    )
    .option('--since <time>', 'only alerts created after this: 2026-11-22T10:00:00Z, or 30m, 2h, 7d ago', parseTime)
    .option('--dry-run', 'only say how many')
    .addHelpText('after', examples('ssom-alert reconcile --since 2h --dry-run', 'ssom-alert reconcile'))
    .action(async (flags: ReconcileFlags) => done(await withDatabase(context, (db) => reconcile(context, db, flags))));

  program
    .command('epoch')
    .summary('numbers and resume tokens after a backup was restored')
    .description('The epoch of the database, which every resume token and every record in Kafka carries.')
    .command('renew')
    .summary('begin a new epoch: no number is given twice, resume tokens expire')
    .description(
      'After a backup was restored, or a failover lost commits, numbers would be given out a second time. A new epoch makes ' +
        'alert numbers jump beyond all that were given, records in Kafka of the epoch before are set aside and counted, and every ' +
        'client reloads its inbox (OUT_OF_RANGE, RESUME_TOKEN_EXPIRED). Run this before the roles start.',
    )
    .option('--yes', 'do it')
    .addHelpText('after', examples('ssom-alert epoch renew --yes'))
    .action(async (flags: { yes?: boolean }) => done(await withDatabase(context, (db) => renew(context, db, flags))));
};

async function reconcile(context: Context, database: Database, { since = 0, dryRun }: ReconcileFlags): Promise<number> {
  const [{ countAlerts, requestReconcile }, { accountOf }] = await Promise.all([
    import('../../store/progress.js'),
    import('../../store/audit.js'),
  ]);
  if (dryRun) {
    const { alerts, incomplete } = await countAlerts(database, since);
    await print(
      context,
      `${count(alerts, 'alert')} would be looked at; ${incomplete} of them are not known to be complete`,
    );
    return OK;
  }
  const alerts = await requestReconcile(database, since, accountOf(operator(), 'reconcile.request'));
  await print(context, `${count(alerts, 'alert')} will be looked at by the fan-out role, within RECONCILE_INTERVAL_MS`);
  return OK;
}

async function renew(context: Context, database: Database, { yes }: { yes?: boolean }): Promise<number> {
  const [{ readEpoch, renewEpoch }, { accountOf }] = await Promise.all([
    import('../../store/state.js'),
    import('../../store/audit.js'),
  ]);
  if (yes !== true) {
    await print(
      context,
      `the epoch is ${await readEpoch(database)}; with --yes it is renewed, alert numbers jump and every resume token expires`,
    );
    return OK;
  }
  const before = await readEpoch(database);
  const { epoch, alertIdsAbove } = await renewEpoch(database, accountOf(operator(), 'epoch.renew'));
  await print(context, `the epoch was ${before} and is ${epoch} now; alert numbers go on above ${alertIdsAbove}`);
  return OK;
}

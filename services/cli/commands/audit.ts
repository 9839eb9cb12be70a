import { type Command, InvalidArgumentError, Option } from 'commander';
import { AUDIT_ACTIONS, AUDIT_OUTCOMES, type AuditAction } from '../../domain/audit.js';
import type { Database } from '../../lib/postgres.js';
import type { AuditFilter, StoredEntry } from '../../store/audit.js';
import type { ChainReport, Head } from '../../store/audit-chain.js';
import { type AddCommands, examples, parseWhole } from '../command.js';
import { type Context, FAILED, OK, print, say, UsageError } from '../context.js';
import { withDatabase } from '../io/database.js';
import { parseTime } from '../io/times.js';
import { count, jsonText, oneLine } from '../views/text.js';

interface ListFlags extends AuditFilter {
  readonly limit?: number;
  readonly json?: boolean;
}

interface VerifyFlags {
  readonly sinceHead?: string;
  readonly json?: boolean;
}

const LIMIT_DEFAULT = 100;

export const addAudit: AddCommands = (program, context, done) => {
  const audit = program
    .command('audit')
    .summary('who did what: the account that is kept of it')
    .description(
      'Changes of the directory and of devices, what admins read and change of others, what operators do by hand, and refused ' +
        'calls, each with who, by which credential, from where and when. These commands speak to PostgreSQL themselves, as DATABASE_URL names it.',
    );

  filterFlags(audit.command('list'))
    .summary('entries, newest first')
    .description('Entries of the account, newest first.')
    .option('--limit <n>', `at most this many (default ${LIMIT_DEFAULT})`, parseWhole)
    .option('--json', 'one JSON object a line, for programs')
    .addHelpText(
      'after',
      examples(
        'ssom-alert audit list --since 1d --outcome refused',
        'ssom-alert audit list --actor deployer --action directory.users --json',
      ),
    )
    .action(async (flags: ListFlags) =>
      done(await withDatabase(context, (database) => list(context, database, flags))),
    );

  audit
    .command('verify')
    .summary('whether entries were changed, removed or inserted')
    .description(
      'Compares every entry with its seal: entries are sealed in a chain of hashes, some 10 s after they were made. Prints where the ' +
        'chain ends. Keep that elsewhere: against it a later --since-head also finds that the end was removed, or the chain made anew. ' +
        'Exits with 1 if something is not as it was sealed.',
    )
    .option('--since-head <head>', 'a head that an earlier verify, or the log, printed: entry:hash')
    .option('--json', 'one JSON object, for programs')
    .addHelpText('after', examples('ssom-alert audit verify', 'ssom-alert audit verify --since-head "$(cat head)"'))
    .action(async (flags: VerifyFlags) =>
      done(await withDatabase(context, (database) => verify(context, database, flags))),
    );
};

function filterFlags(command: Command): Command {
  return command
    .option('--actor <name>', 'only by this user, service or operator')
    .option('--action <action>', `only this: ${Object.keys(AUDIT_ACTIONS).join(', ')}`, parseAction)
    .option('--object <name>', 'only about this user, or this method')
    .addOption(new Option('--outcome <outcome>', 'only with this outcome').choices(AUDIT_OUTCOMES))
    .option('--since <time>', 'only made after this: 2026-11-22T10:00:00Z, or 30m, 2h, 7d ago', parseTime)
    .option('--until <time>', 'only made before this', parseTime);
}

function parseAction(value: string): AuditAction {
  if (Object.hasOwn(AUDIT_ACTIONS, value)) return value as AuditAction;
  throw new InvalidArgumentError(`It must be one of ${Object.keys(AUDIT_ACTIONS).join(', ')}.`);
}

async function list(context: Context, database: Database, flags: ListFlags): Promise<number> {
  const { listEntries } = await import('../../store/audit.js');
  const { limit = LIMIT_DEFAULT, json } = flags;
  let found = 0;
  for await (const entry of listEntries(database.bulk, flags)) {
    if (found === limit) {
      if (!json) say(context, `the newest ${count(limit, 'entry')}; there are more: add --limit`);
      return OK;
    }
    found += 1;
    await print(context, json ? jsonText(toJson(entry)) : toLine(entry));
  }
  if (!json) say(context, found === 0 ? 'no entries' : count(found, 'entry'));
  return OK;
}

function toJson({ at, actor, ...entry }: StoredEntry) {
  return { ...entry, at: new Date(at).toISOString(), actor };
}

/** `2026-11-22T10:00:00.123Z  17  service deployer (dev) from 10.0.0.7  directory.users done  {…}` */
function toLine({ entryId, at, databaseUser, actor, action, object, outcome, reason, details }: StoredEntry): string {
  const { kind, subject, credential, peer, requestId, traceId } = actor;
  const parts = [
    new Date(at).toISOString(),
    String(entryId),
    `${kind} ${subject} (${credential || 'nothing'}${kind === 'operator' ? `, database user ${databaseUser}` : ''}) from ${peer}`,
    `${action} ${outcome}${reason === '' ? '' : ` ${reason}`}`,
    object,
    JSON.stringify(details),
    requestId === '' ? '' : `request ${requestId}`,
    traceId === '' ? '' : `trace ${traceId}`,
  ];
  return parts
    .filter((part) => part !== '')
    .map(oneLine)
    .join('  ');
}

async function verify(context: Context, database: Database, { sinceHead, json }: VerifyFlags): Promise<number> {
  const { headText, readHead, verifyChain } = await import('../../store/audit-chain.js');
  let kept: Head | undefined;
  if (sinceHead !== undefined) {
    kept = readHead(sinceHead.trim());
    if (kept === undefined)
      throw new UsageError(
        '--since-head must be entry:hash as verify prints it, such as 1042:01 and 64 hexadecimal digits',
      );
  }
  const report = await verifyChain(database.bulk, kept);
  const { sealed, unsealed, begins, broken, breaks } = report;
  const head = headText(report.head);
  if (json) await print(context, jsonText({ sealed, unsealed, begins: headText(begins), head, broken, breaks }));
  else await tell(context, report, head);
  return broken === 0 ? OK : FAILED;
}

async function tell(context: Context, report: ChainReport, head: string): Promise<void> {
  const { sealed, unsealed, begins, broken, breaks } = report;
  for (const { entryId, kind, what } of breaks) await print(context, `entry ${entryId}  ${kind}: ${what}`);
  if (broken > breaks.length) await print(context, `and ${count(broken - breaks.length, 'break')} more`);
  const [first] = breaks;
  await print(
    context,
    first === undefined
      ? `${count(sealed, 'sealed entry')}, all as they were sealed`
      : `${count(broken, 'break')} in ${count(sealed, 'sealed entry')}, the first at entry ${first.entryId}`,
  );
  if (unsealed > 0) await print(context, `${count(unsealed, 'entry')} too new to be sealed`);
  if (begins.entryId > 0) await print(context, `the chain begins behind entry ${begins.entryId}`);
  await print(context, `head ${head}`);
}

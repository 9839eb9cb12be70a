import type { AlertClient } from '../../client/client.js';
import {
  type AddCommands,
  collectIds,
  type ConnectionFlags,
  examples,
  type FilterFlags,
  filterFlags,
  parseWhole,
  toFilter,
  userFlags,
  withClient,
} from '../command.js';
import { type Context, OK, print, say } from '../context.js';
import { entryJson, entryLine } from '../views/format.js';
import { jsonText, painter } from '../views/text.js';

interface InboxFlags extends ConnectionFlags {
  readonly user: string;
}

interface ListFlags extends InboxFlags, FilterFlags {
  readonly limit: number;
  readonly json?: boolean;
}

type Changes = { readonly changed: number; readonly unreadCount: number };

/** ListInbox gives no larger page. */
const PAGE_MAX = 500;
/** MarkRead and its like take no more. */
const IDS_PER_CALL = 1000;

export const addInbox: AddCommands = (program, context, done) => {
  const inbox = program.command('inbox').summary("a user's inbox").description("A user's inbox.");

  filterFlags(userFlags(inbox.command('list')))
    .summary('show the inbox, newest alert first')
    .description('The inbox, newest alert first. A * marks what is unread.')
    .option('--limit <n>', 'show at most this many', parseWhole, 50)
    .option('--json', 'one JSON object a line, for programs')
    .addHelpText(
      'after',
      examples(
        'ssom-alert inbox list --user op01',
        'ssom-alert inbox list --user op01 --unread-only --kind GRAFANA --kind OPENSEARCH',
        'ssom-alert inbox list --user op01 --limit 1000 --json | jq .alert.alertId',
      ),
    )
    .action(async (flags: ListFlags) => done(await list(context, flags)));

  const changing = (name: string, summary: string, method: 'markRead' | 'markUnread' | 'deleteFromInbox') => {
    userFlags(inbox.command(name))
      .summary(summary)
      .description(`${summary[0]!.toUpperCase()}${summary.slice(1)}. Numbers that are not in the inbox are ignored.`)
      .argument('<id...>', "the alerts' numbers", collectIds)
      .addHelpText('after', examples(`ssom-alert inbox ${name} --user op01 17 18`))
      .action(async (ids: readonly number[], flags: InboxFlags) => done(await change(context, flags, ids, method)));
  };
  changing('read', 'mark alerts as read', 'markRead');
  changing('unread', 'mark alerts as unread again', 'markUnread');
  changing('delete', 'remove alerts from the inbox, for good', 'deleteFromInbox');

  userFlags(inbox.command('read-all'))
    .summary('mark everything as read')
    .description('Marks everything as read that is in the inbox now.')
    .addHelpText('after', examples('ssom-alert inbox read-all --user op01'))
    .action(async (flags: InboxFlags) =>
      done(
        await withClient(context, flags, { userId: flags.user }, async (client, signal) =>
          report(context, await client.markAllRead({ userId: flags.user }, { signal })),
        ),
      ),
    );
};

async function list(context: Context, flags: ListFlags): Promise<number> {
  return withClient(context, flags, { userId: flags.user }, async (client, signal) => {
    const paint = painter(context);
    let pageToken = '';
    let shown = 0;
    let unread: number;
    do {
      const pageSize = Math.min(PAGE_MAX, flags.limit - shown);
      const page = await client.listInbox({ userId: flags.user, ...toFilter(flags), pageSize, pageToken }, { signal });
      for (const entry of page.entries) {
        await print(context, flags.json ? jsonText(entryJson(entry)) : entryLine(entry, paint));
      }
      shown += page.entries.length;
      unread = page.unreadCount;
      pageToken = page.nextPageToken;
    } while (pageToken !== '' && shown < flags.limit);
    const more = pageToken === '' ? '' : `, there are more (--limit ${flags.limit})`;
    say(context, `${shown} shown${more}; ${unread} unread in the whole inbox`);
    return OK;
  });
}

async function change(
  context: Context,
  flags: InboxFlags,
  ids: readonly number[],
  method: keyof AlertClient & ('markRead' | 'markUnread' | 'deleteFromInbox'),
): Promise<number> {
  return withClient(context, flags, { userId: flags.user }, async (client, signal) => {
    let changed = 0;
    let unreadCount = 0;
    for (let start = 0; start < ids.length; start += IDS_PER_CALL) {
      const alertIds = ids.slice(start, start + IDS_PER_CALL);
      const answer = await client[method]({ userId: flags.user, alertIds }, { signal });
      changed += answer.changed;
      unreadCount = answer.unreadCount;
    }
    return report(context, { changed, unreadCount });
  });
}

async function report(context: Context, { changed, unreadCount }: Changes): Promise<number> {
  await print(context, `${changed} changed, ${unreadCount} unread`);
  return OK;
}

import type { StreamEvent, StreamOptions } from '../../client/stream.js';
import { type ConnectionFlags, type FilterFlags, toFilter, withClient } from '../command.js';
import { type Context, FAILED, OK, print, say, UsageError } from '../context.js';
import { changeLine, changesJson } from '../views/format.js';
import { describeError } from '../views/problems.js';
import { duration, jsonText, painter } from '../views/text.js';

export interface WatchFlags extends ConnectionFlags, FilterFlags {
  readonly user: string;
  /** `start`, `now`, or a resume token. */
  readonly from: string;
  readonly json?: boolean;
}

export async function watchAlerts(context: Context, flags: WatchFlags): Promise<number> {
  return withClient(context, flags, { userId: flags.user }, async (client, signal) => {
    const paint = painter(context);
    let resumeToken = '';
    const begun = performance.now();
    // "now" is when there is a connection.
    const before = `; what came before is in 'ssom-alert inbox list --user ${flags.user}', or comes with --from start`;
    let waited = false;
    const stream = client.streamAlerts({
      userId: flags.user,
      ...startOf(flags.from),
      filter: toFilter(flags),
      signal,
      onEvent: (event) => {
        announce(context, flags.user, event);
        if (event.type === 'lost' && resumeToken === '') waited = true;
        if (event.type !== 'connected' || !waited) return;
        waited = false;
        say(context, `connected after ${duration(performance.now() - begun)}${flags.from === 'now' ? before : ''}`);
      },
    });
    for await (const response of stream) {
      ({ resumeToken } = response);
      const lines = flags.json
        ? changesJson(response).map((change) => jsonText(change))
        : response.changes.map((change) => changeLine(change, paint));
      for (const line of lines) await print(context, line);
    }
    // Ctrl-C is how one ends it.
    if (resumeToken !== '') say(context, `to go on from here: --from ${resumeToken}`);
    return signal.aborted ? OK : FAILED;
  });
}

function startOf(from: string): Pick<StreamOptions, 'start' | 'resumeToken'> {
  if (from === '') throw new UsageError("--from is empty; it must be 'start', 'now' or a resume token");
  if (from === 'now') return { start: 'now' };
  return from === 'start' ? { start: 'beginning' } : { resumeToken: from };
}

function announce(context: Context, user: string, event: StreamEvent): void {
  if (event.type === 'live') say(context, `live: what reaches ${user} from now on is shown as it comes`);
  if (event.type === 'expired') say(context, 'the resume token is of no use any more; here is the whole inbox again');
  if (event.type !== 'lost') return;
  const [what] = describeError(event.error, '');
  const seconds = (event.retryInMs / 1000).toFixed(1);
  say(context, `not connected (${what}); trying again in ${seconds} s`);
}

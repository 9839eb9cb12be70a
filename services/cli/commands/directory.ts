import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { DirectoryWarning__Output } from '../../gen/types.js';
import { type AddCommands, type CallerFlags, callerFlags, callerIdentity, examples, withClient } from '../command.js';
import { type Context, FAILED, INTERRUPTED, OK, print, say } from '../context.js';
import { parseDirectory } from '../io/directory-input.js';
import { describeFileError, openInput } from '../io/input-file.js';
import { count, oneLine } from '../views/text.js';

/** UpsertUsers takes no more. */
const USERS_PER_CALL = 500;
const PROBLEMS_SHOWN = 20;

export const addDirectory: AddCommands = (program, context, done) => {
  const directory = program
    .command('directory')
    .summary('load users and routing rules')
    .description('Who there is, and who receives what.');
  callerFlags(directory.command('load <file>'))
    .summary('load users and routing rules from a JSON file')
    .description(
      'Adds the users of a JSON file (- reads standard input), or replaces those that exist; users that the file does not ' +
        'name stay. If the file has routingRules, they replace all rules. deploy/sample/directory.json is an example.',
    )
    .addHelpText(
      'after',
      examples(
        'ssom-alert directory load deploy/sample/directory.json',
        'generate-directory | ssom-alert directory load -',
      ),
    )
    .action(async (file: string, flags: CallerFlags) => done(await load(context, file, flags)));
};

async function load(context: Context, file: string, flags: CallerFlags): Promise<number> {
  const interrupted = context.interrupted();
  let content: string;
  try {
    content = await text(Readable.from(openInput(context, file, interrupted)));
  } catch (error) {
    if (interrupted.aborted) return INTERRUPTED;
    say(context, describeFileError(error, file));
    return FAILED;
  }
  const input = parseDirectory(content);
  if ('problems' in input) {
    for (const problem of input.problems.slice(0, PROBLEMS_SHOWN)) say(context, oneLine(problem));
    if (input.problems.length > PROBLEMS_SHOWN)
      say(context, `and ${input.problems.length - PROBLEMS_SHOWN} more problems`);
    say(context, 'nothing was loaded');
    return FAILED;
  }
  const { users, rules } = input.directory;
  return withClient(context, flags, callerIdentity(context, flags), async (client, signal) => {
    let version: number | undefined;
    let warnings: readonly DirectoryWarning__Output[] = [];
    let loaded = 0;
    try {
      for (; loaded < users.length; loaded += USERS_PER_CALL) {
        const chunk = users.slice(loaded, loaded + USERS_PER_CALL);
        ({ directoryVersion: version, warnings } = await client.upsertUsers({ users: chunk }, { signal }));
      }
      if (rules !== undefined) {
        ({ directoryVersion: version, warnings } = await client.setRoutingRules({ rules: [...rules] }, { signal }));
      }
    } catch (error) {
      const done = Math.min(loaded, users.length);
      if (done > 0) say(context, `only ${done} of ${count(users.length, 'user')} were loaded:`);
      throw error;
    }
    const parts = [count(users.length, 'user')];
    if (rules !== undefined) parts.push(count(rules.length, 'routing rule'));
    const at = version === undefined ? '' : `; the directory is at version ${version}`;
    await print(context, `${parts.join(' and ')} loaded${at}`);
    for (const warning of warnings) say(context, `warning: ${warningText(warning)}`);
    if (rules?.length === 0) say(context, 'there are no routing rules now: an alert that names nobody reaches nobody');
    return OK;
  });
}

/** What alerts cannot reach, for people. */
function warningText({ type, department }: DirectoryWarning__Output): string {
  const name = `'${oneLine(department)}'`;
  switch (type) {
    case 'DIRECTORY_WARNING_TYPE_RULE_WITHOUT_USERS':
      return `a routing rule is for the department ${name}, which nobody is in: is it misspelt?`;
    case 'DIRECTORY_WARNING_TYPE_RULE_WITHOUT_ACTIVE_USER':
      return `a routing rule is for the department ${name}, of which nobody is active`;
    default:
      return `nobody of the department ${name} is active: an alert to it reaches nobody`;
  }
}

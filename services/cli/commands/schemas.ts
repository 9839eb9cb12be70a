import { InvalidArgumentError } from 'commander';
import { type AddCommands, collect, examples, parseWhole, repeatable } from '../command.js';
import { type Context, FAILED, OK, print, say, UsageError } from '../context.js';
import { type RegistryFlags, registryOf } from '../io/registry.js';
import { count, jsonText, oneLine } from '../views/text.js';

interface CheckFlags extends RegistryFlags {
  readonly schemas?: string;
  readonly json?: boolean;
}

interface NewFlags {
  readonly schemas?: string;
  readonly addField?: readonly object[];
  readonly removeField?: readonly string[];
  readonly addSymbol?: readonly { enum: string; symbol: string }[];
  readonly changesMeaningOf?: string;
  readonly toldBy?: string;
  readonly record?: string;
  readonly doc?: string;
}

const FOLDER = ['--schemas <folder>', 'the schemas of this folder (default: those of this release)'] as const;
const REGISTRY =
  'the registry (default: SCHEMA_REGISTRY_URL; its user, token and certificates are those of the service)';
const JSON_LINES = ['--json', 'one object a line, for programs'] as const;

/** The schemas of the records in Kafka. */
export const addSchemas: AddCommands = (program, context, done) => {
  const schemas = program
    .command('schemas')
    .summary('check, register, list and change the Avro schemas')
    .description('The Avro schemas of the records in Kafka: schemas/README.md says how they change.');

  schemas
    .command('check')
    .summary('hold all versions against the rules and against each other')
    .description(
      "Every pair of versions in both directions by Avro's own rules (FULL_TRANSITIVE), and ours on names, defaults, " +
        'docs, units and meanings. It asks nobody; with --registry it asks the registry too, and registers nothing.',
    )
    .option('--registry [url]', `also ask ${REGISTRY}`)
    .option(...FOLDER)
    .option(...JSON_LINES)
    .addHelpText(
      'after',
      examples('ssom-alert schemas check', 'ssom-alert schemas check --registry http://localhost:8081'),
    )
    .action(async (flags: CheckFlags) => done(await check(context, flags)));

  schemas
    .command('register')
    .summary('register every version that is missing')
    .description(
      'Registers the versions in their order, at compatibility FULL_TRANSITIVE. What `schemas check` finds wrong is ' +
        'refused and nothing is registered; so is a version that somebody else registered first. Again changes nothing.',
    )
    .option('--registry <url>', REGISTRY)
    .option(...FOLDER)
    .addHelpText('after', examples('ssom-alert schemas register --registry http://localhost:8081'))
    .action(async (flags: CheckFlags) => done(await register(context, flags)));

  schemas
    .command('list')
    .summary('subjects, versions, ids, and whether registry and files agree')
    .description('Without a registry it lists the files, and which version of each is written.')
    .option('--registry <url>', REGISTRY)
    .option(...FOLDER)
    .option(...JSON_LINES)
    .addHelpText('after', examples('ssom-alert schemas list', 'PROFILE=dev ssom-alert schemas list --json'))
    .action(async (flags: CheckFlags) => done(await list(context, flags)));

  schemas
    .command('diff')
    .summary('what differs between two versions, in words')
    .argument('<subject>', 'the folder below schemas/')
    .argument('[earlier]', 'a version (default: the one before the newest)', parseVersion)
    .argument('[later]', 'a version (default: the newest)', parseVersion)
    .option(...FOLDER)
    .option(...JSON_LINES)
    .addHelpText(
      'after',
      examples(
        'ssom-alert schemas diff alert-created-topic-value',
        'ssom-alert schemas diff user-alert-topic-value 1 3',
      ),
    )
    .action(async (subject: string, earlier: number | undefined, later: number | undefined, flags: CheckFlags) =>
      done(await diff(context, subject, [earlier, later], flags)),
    );

  schemas
    .command('new')
    .summary('make the next version of a subject from its newest, or a first one')
    .description(
      'Writes the next vN.avsc and says what to do next. Without flags it is a copy of the newest, to be edited.',
    )
    .argument('<subject>', 'the folder below schemas/')
    .option('--add-field <json>', 'a field as in the file (may be repeated)', repeatable(collectFields))
    .option('--remove-field <name>', 'without this field (may be repeated)', collect)
    .option('--add-symbol <enum=symbol>', 'one more symbol of an enum (may be repeated)', repeatable(collectSymbols))
    .option('--changes-meaning-of <field>', 'what this field means changes; needs --told-by')
    .option('--told-by <field>', 'the new field by which readers tell the meanings apart')
    .option('--record <name>', "a new subject: its record's name")
    .option('--doc <text>', 'a new subject: what happened when it is written, and its key')
    .option(...FOLDER)
    .addHelpText(
      'after',
      examples(
        `ssom-alert schemas new user-alert-topic-value --add-field '{"name": "note", "type": "string", "default": "", "doc": "…"}'`,
        'ssom-alert schemas new alert-created-topic-value --add-symbol AlertKind=PAGERDUTY',
      ),
    )
    .action(async (subject: string, flags: NewFlags) => done(await makeNew(context, subject, flags)));
};

function parseVersion(value: string): number {
  return parseWhole(value.replace(/^v/, ''));
}

function collectFields(value: string, before: readonly object[] = []): readonly object[] {
  try {
    const field: unknown = JSON.parse(value);
    if (typeof field === 'object' && field !== null && 'name' in field && 'type' in field) return [...before, field];
  } catch {
    // What it must be is said below.
  }
  throw new InvalidArgumentError(
    'It must be JSON such as {"name": "note", "type": "string", "default": "", "doc": "…"}.',
  );
}

function collectSymbols(value: string, before: NewFlags['addSymbol'] = []): NewFlags['addSymbol'] {
  const [, name, symbol] = /^([A-Za-z_]\w*)=([A-Za-z_]\w*)$/.exec(value) ?? [];
  if (name === undefined || symbol === undefined) throw new InvalidArgumentError('It must be ENUM=SYMBOL.');
  return [...before, { enum: name, symbol }];
}

async function check(context: Context, flags: CheckFlags): Promise<number> {
  const { checkSchemas, describeProblem } = await import('../../events/schemas/check.js');
  const { folders, problems } = checkSchemas(flags.schemas);
  const found = [...problems];
  if (flags.registry !== undefined && problems.length === 0) {
    const { askRegistry } = await import('../../events/schemas/register.js');
    const { config, registry } = await registryOf(context, flags);
    found.push(...(await askRegistry(folders, config, registry)));
  }
  for (const problem of found)
    if (flags.json) await print(context, jsonText(problem));
    else for (const line of describeProblem(problem)) await print(context, oneLine(line));
  const versions = folders.reduce((sum, folder) => sum + folder.versions.length, 0);
  const all = `${count(versions, 'version')} of ${count(folders.length, 'subject')}`;
  say(context, found.length === 0 ? `${all}: all read each other` : `${all}: ${count(found.length, 'problem')}`);
  return found.length === 0 ? OK : FAILED;
}

async function register(context: Context, flags: CheckFlags): Promise<number> {
  const { foldersOfTopics, refuseRivals, registerSchemas } = await import('../../events/schemas/register.js');
  const { readSchemas } = await import('../../events/schemas/files.js');
  const { config, registry } = await registryOf(context, flags);
  const { folders } = readSchemas(flags.schemas);
  const ours = foldersOfTopics(folders, config);
  await refuseRivals(ours, registry);
  const ids = await registerSchemas(config, registry, flags.schemas);
  // Somebody may have been quicker since.
  await refuseRivals(ours, registry);
  for (const [subject, id] of Object.entries(ids)) await print(context, `${subject}  id ${id}`);
  for (const { name } of folders)
    if (!ours.some((folder) => folder.name === name))
      say(context, `note: ${name} is not registered: no topic has it (FOLDERS in services/events/schemas/files.ts)`);
  return OK;
}

async function list(context: Context, flags: CheckFlags): Promise<number> {
  const { listSchemas } = await import('../../events/schemas/listing.js');
  const { config, registry } = await registryOf(context, flags, 'optional');
  const listed = await listSchemas(config, registry, flags.schemas);
  for (const { folder, subject, versions } of listed) {
    if (flags.json) {
      for (const version of versions) await print(context, jsonText({ folder, subject: subject ?? null, ...version }));
      continue;
    }
    await print(context, `${folder}${subject === folder ? '' : `  (${subject ?? 'no topic has it'})`}`);
    for (const { version, id, state, isWritten, registered } of versions) {
      const name = version === null ? `registry version ${registered}` : `v${version}`;
      await print(
        context,
        `  ${[name, id === null ? '' : `id ${id}`, state, isWritten ? 'written' : ''].filter((part) => part !== '').join('  ')}`,
      );
    }
  }
  return OK;
}

async function diff(
  context: Context,
  subject: string,
  wanted: (number | undefined)[],
  flags: CheckFlags,
): Promise<number> {
  const [{ readSchemas }, { differences }] = await Promise.all([
    import('../../events/schemas/files.js'),
    import('../../events/schemas/differences.js'),
  ]);
  const { folders, problems } = readSchemas(flags.schemas);
  const folder = folders.find(({ name }) => name === subject);
  if (folder === undefined)
    throw new UsageError(`there is no subject '${subject}'; there are ${folders.map(({ name }) => name).join(', ')}`);
  const newest = folder.versions.at(-1)?.version ?? 0;
  const [later = newest, earlier = later - 1] = wanted.toReversed();
  const [one, other] = [earlier, later].map((version) => folder.versions.find((each) => each.version === version));
  if (one === undefined || other === undefined) {
    const unread = problems
      .filter(({ file }) => file.startsWith(`${subject}/`))
      .map(({ file, reason }) => `${file} ${reason}`);
    throw new UsageError(
      [`${subject} has the versions 1 to ${newest}, not both ${earlier} and ${later}`, ...unread].join('; '),
    );
  }
  const found = differences(one.record, other.record);
  for (const { field, change, words } of found)
    await print(
      context,
      flags.json ? jsonText({ field, change, words }) : oneLine(`${change.padEnd(7)}  ${field}  ${words}`),
    );
  if (found.length === 0) say(context, `v${earlier} and v${later} say the same`);
  return OK;
}

async function makeNew(context: Context, subject: string, flags: NewFlags): Promise<number> {
  const { UnfitChanges, writeNextVersion } = await import('../../events/schemas/next-version.js');
  if (!/^[a-zA-Z0-9._-]+-value$/.test(subject))
    throw new UsageError(`'${subject}' must be a topic's name with -value behind it`);
  if ((flags.changesMeaningOf === undefined) !== (flags.toldBy === undefined))
    throw new UsageError('--changes-meaning-of and --told-by go together');
  if ((flags.record === undefined) !== (flags.doc === undefined))
    throw new UsageError('--record and --doc go together');
  const changes = {
    addFields: (flags.addField ?? []) as never[],
    removeFields: flags.removeField ?? [],
    addSymbols: flags.addSymbol ?? [],
    ...(flags.toldBy === undefined ? {} : { changesMeaning: { of: flags.changesMeaningOf!, toldBy: flags.toldBy } }),
  };
  const first = flags.record === undefined ? undefined : { record: flags.record, doc: flags.doc! };
  try {
    await print(context, `schemas/${writeNextVersion(subject, changes, first, flags.schemas)}`);
  } catch (error) {
    if (!(error instanceof UnfitChanges)) throw error;
    throw new UsageError(error.message);
  }
  say(context, 'next: ssom-alert schemas check; npm run generate; then what npm run setup says does not compile');
  if (first !== undefined) say(context, 'a new subject needs its topic, too: "A new event" in schemas/README.md');
  return OK;
}

import { InvalidArgumentError } from 'commander';
import type * as rightsModule from '../../events/rights.js';
import type { Principal, Right } from '../../events/rights.js';
import { type AddCommands, examples, repeatable } from '../command.js';
import { type Context, OK, print, UsageError } from '../context.js';
import { type ListedAcl, readAclList } from '../io/acl-list.js';
import { describeFileError, openInput } from '../io/input-file.js';
import { jsonText } from '../views/text.js';

interface AclFlags {
  readonly for?: readonly string[];
  readonly principal?: Readonly<Record<string, string>>;
  readonly userPrefix?: string;
  readonly surplusIn?: string;
  readonly json?: boolean;
}

export const addKafka: AddCommands = (program, context, done) => {
  const kafka = program.command('kafka').summary('what the service needs in Kafka').description('Kafka: rights.');

  kafka
    .command('acls')
    .summary('the rights of each role, as ACLs')
    .description(
      'The least that each role may do in Kafka, for the topics and groups of the configuration: the arguments of ' +
        'kafka-acls.sh, a line for each command. deploy/kafka/create-acls.sh runs them, and with --prune finds and removes ' +
        'others.',
    )
    .option('--for <role...>', 'only of these (default: all but standalone)')
    .option(
      '--principal <role=principal>',
      'who it is, such as fanout=User:ssom-fanout; may be repeated',
      repeatable(parsePair),
    )
    .option('--user-prefix <text>', 'before the names of all others: ssom- makes User:ssom-fanout')
    .option(
      '--surplus-in <file>',
      'what kafka-acls.sh --list has printed, or - for standard input: instead, what takes away the rights in it that these principals do not need',
    )
    .option('--json', 'one ACL a line as JSON, for programs')
    .addHelpText(
      'after',
      examples('ssom-alert kafka acls', 'ssom-alert kafka acls --for fanout delivery --user-prefix ssom- --json'),
    )
    .action(async (flags: AclFlags) => done(await acls(context, flags)));
};

/** kafka-acls.sh takes them as one word each, and terminals obey the others. */
const PRINCIPAL = /^User:[^\s'"\\\p{Cc}\p{Cf}]+$/u;

function parsePair(value: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const [, role, principal] = /^([^=]+)=(.+)$/.exec(value) ?? [];
  if (role === undefined || principal === undefined || !PRINCIPAL.test(principal))
    throw new InvalidArgumentError(
      'It must be ROLE=User:NAME, without spaces, quotes and control characters in the name.',
    );
  return { ...before, [role]: principal };
}

async function acls(context: Context, flags: AclFlags): Promise<number> {
  const [{ loadConfig }, rights] = await Promise.all([
    import('../../lib/config/load.js'),
    import('../../events/rights.js'),
  ]);
  // They say nothing of rights, and whoever makes ACLs need not know them.
  const config = loadConfig(context.environment, {
    databaseUrl: 'postgres://localhost/',
    schemaRegistryUrl: 'https://localhost',
  });
  const needed = new Map<string, Right[]>();
  for (const principal of chosen(rights, flags)) {
    const name = nameOf(principal, flags);
    needed.set(name, [...(needed.get(name) ?? []), ...rights.rightsOf(principal, config)]);
  }
  if (flags.surplusIn !== undefined) return surplus(context, flags.surplusIn, needed, flags.json === true);
  for (const [name, own] of needed) {
    const lines = flags.json === true ? own.map((right) => toJson(name, right)) : commandsFor(name, own);
    for (const line of lines) await print(context, line);
  }
  return OK;
}

/** Of what principals have, the rights that are none of those they need. */
async function surplus(
  context: Context,
  file: string,
  needed: ReadonlyMap<string, readonly Right[]>,
  asJson: boolean,
): Promise<number> {
  let text = '';
  const decoder = new TextDecoder();
  try {
    for await (const bytes of openInput(context, file, context.interrupted()))
      text += decoder.decode(bytes, { stream: true });
  } catch (error) {
    throw new UsageError(describeFileError(error, file));
  }
  let acls: ListedAcl[];
  try {
    acls = readAclList(text);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  const more = acls.filter((acl) => {
    const own = needed.get(acl.principal);
    // What is denied is no right.
    if (own === undefined || acl.permission !== 'Allow') return false;
    const isNeeded = ({ resource, name, operation }: Right) =>
      resource === acl.resource && name === acl.name && operation === acl.operation;
    return acl.pattern !== 'literal' || !own.some(isNeeded);
  });
  for (const line of asJson ? more.map((acl) => jsonText({ ...acl })) : removalsOf(more)) await print(context, line);
  return OK;
}

function chosen({ PRINCIPALS, isPrincipal }: typeof rightsModule, flags: AclFlags): readonly Principal[] {
  const named = flags.for ?? PRINCIPALS.filter((principal) => principal !== 'standalone');
  const unknown = [...named, ...Object.keys(flags.principal ?? {})].filter((name) => !isPrincipal(name));
  if (unknown.length > 0) throw new UsageError(`unknown: ${unknown.join(', ')}. There are ${PRINCIPALS.join(', ')}`);
  return named.filter(isPrincipal);
}

function nameOf(principal: Principal, { principal: given = {}, userPrefix = '' }: AclFlags): string {
  const name = given[principal] ?? `User:${userPrefix}${principal}`;
  if (!PRINCIPAL.test(name)) throw new UsageError('--user-prefix must have no spaces, quotes and control characters');
  return name;
}

function toJson(principal: string, { resource, name, operation }: Right): string {
  return jsonText({ principal, resource, name, pattern: 'literal', operation, permission: 'Allow', host: '*' });
}

/** One for all resources that may be used alike: each takes a second. */
function commandsFor(principal: string, rights: readonly Right[]): string[] {
  const alike = new Map<string, string[]>();
  for (const operation of new Set(rights.map((right) => right.operation))) {
    const resources = rights
      .filter((right) => right.operation === operation)
      .map(optionFor)
      .join(' ');
    alike.set(resources, [...(alike.get(resources) ?? []), `--operation ${operation}`]);
  }
  return [...alike].map(
    ([resources, operations]) => `--add --allow-principal ${principal} ${operations.join(' ')} ${resources}`,
  );
}

/** One for all operations on a resource. */
function removalsOf(acls: readonly ListedAcl[]): string[] {
  const operations = new Map<string, string[]>();
  for (const { principal, host, operation, resource, name, pattern } of acls) {
    const target = resource === 'cluster' ? '--cluster' : `--${resource} ${word(name)}`;
    const from = `--allow-principal ${word(principal)} --allow-host ${word(host)} ${target} --resource-pattern-type ${pattern}`;
    operations.set(from, [...(operations.get(from) ?? []), `--operation ${operation}`]);
  }
  return [...operations].map(([from, all]) => `--remove --force ${all.join(' ')} ${from}`);
}

/** As xargs and shells take it for one. */
const word = (text: string) => text.replace(/[^\w.:*@/-]/gu, (character) => `\\${character}`);

const optionFor = ({ resource, name }: Right) => `--${resource} ${name}`;

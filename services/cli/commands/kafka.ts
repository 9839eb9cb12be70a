import { InvalidArgumentError } from 'commander';
import type * as rightsModule from '../../events/rights.js';
import type { Principal, Right } from '../../events/rights.js';
import { type AddCommands, examples, repeatable } from '../command.js';
import { type Context, OK, print, UsageError } from '../context.js';
import { jsonText } from '../views/text.js';

interface AclFlags {
  readonly for?: readonly string[];
  readonly principal?: Readonly<Record<string, string>>;
  readonly userPrefix?: string;
  readonly json?: boolean;
}

export const addKafka: AddCommands = (program, context, done) => {
  const kafka = program.command('kafka').summary('what the service needs in Kafka').description('Kafka: rights.');

  kafka
    .command('acls')
    .summary('the rights of each role, as ACLs')
    .description(
      'The least that each role may do in Kafka, for the topics and groups of the configuration: the arguments of ' +
        'kafka-acls.sh, a line for each command. deploy/kafka/create-acls.sh runs them.',
    )
    .option('--for <role...>', 'only of these (default: all but standalone)')
    .option(
      '--principal <role=principal>',
      'who it is, such as fanout=User:ssom-fanout; may be repeated',
      repeatable(parsePair),
    )
    .option('--user-prefix <text>', 'before the names of all others: ssom- makes User:ssom-fanout')
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
    schemaRegistryUrl: 'http://localhost',
  });
  for (const principal of chosen(rights, flags)) {
    const name = nameOf(principal, flags);
    const own = rights.rightsOf(principal, config);
    const lines = flags.json === true ? own.map((right) => toJson(name, right)) : commandsFor(name, own);
    for (const line of lines) await print(context, line);
  }
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

const optionFor = ({ resource, name }: Right) => (resource === 'cluster' ? '--cluster' : `--${resource} ${name}`);

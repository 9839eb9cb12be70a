import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import { type AlertClient, type ClientOptions, createClient } from '../client/client.js';
import { AlertClientError } from '../client/errors.js';
import type { TokenSource } from '../client/identity.js';
import { ALERT_KINDS, ALERT_LEVELS, type AlertKind, type AlertLevel } from '../domain/alert.js';
import { type Context, FAILED, INTERRUPTED, say, TRY_AGAIN, UsageError } from './context.js';
import { findEnum } from './io/fields.js';
import { describeError } from './views/problems.js';
import { oneLine } from './views/text.js';

/** Adds a group of commands; `done` takes a command's exit code. */
export type AddCommands = (program: Command, context: Context, done: (code: number) => void) => void;

export interface ConnectionFlags {
  readonly address?: string;
  readonly tokenFile?: string;
  readonly tls?: boolean;
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly streamAddress?: string;
}

export interface CallerFlags extends ConnectionFlags {
  readonly caller?: string;
}

const ADDRESS_DEFAULT = 'localhost:50051';
const CALLER_DEFAULT = 'ssom-alert-cli';
const LOOPBACK = /^((localhost|127\.\d+\.\d+\.\d+|\[::1\]):\d+|unix:.*)$/;
const ADDRESS = /^((\[[0-9a-fA-F:.]+\]|[^\s:/]+):\d{1,5}|(dns|ipv4|ipv6|unix):\S+)$/;

export function addressFlags(command: Command): Command {
  return command
    .option('--address <host:port>', `the service (env SSOM_ADDRESS; default ${ADDRESS_DEFAULT})`)
    .option(
      '--token-file <file>',
      'a signed token to call with, where the service runs with AUTH_MODE=jwt (env SSOM_TOKEN_FILE, or SSOM_TOKEN with the token)',
    )
    .option('--tls', 'encrypt, and trust what Node trusts (env SSOM_TLS=true)')
    .option('--ca-file <file>', 'encrypt, and trust these authorities alone; PEM (env SSOM_CA_FILE)')
    .option('--cert-file <file>', 'our own certificate for mTLS; PEM (env SSOM_CERT_FILE)')
    .option('--key-file <file>', 'its key; PEM (env SSOM_KEY_FILE)');
}

export function callerFlags(command: Command): Command {
  return addressFlags(command).option(
    '--caller <name>',
    `the service to call as (env SSOM_CALLER; default ${CALLER_DEFAULT})`,
  );
}

export function userFlags(command: Command, whose = 'whose inbox'): Command {
  return addressFlags(command).requiredOption('--user <id>', whose);
}

/** The service to call as. */
export function callerIdentity({ environment }: Context, flags: CallerFlags): ClientOptions['identity'] {
  return { caller: flags.caller ?? (environment['SSOM_CALLER'] || CALLER_DEFAULT) };
}

/** How the connection is encrypted, by the flags or the environment. */
function tlsOf({ environment }: Context, flags: ConnectionFlags): NonNullable<ClientOptions['tls']> {
  const name = (flag: string | undefined, variable: string) => flag ?? (environment[variable] || undefined);
  const read = (file: string | undefined) => (file === undefined ? undefined : readText(file, 'the PEM file'));
  const authorities = read(name(flags.caFile, 'SSOM_CA_FILE'));
  const certificate = read(name(flags.certFile, 'SSOM_CERT_FILE'));
  const key = read(name(flags.keyFile, 'SSOM_KEY_FILE'));
  if ((certificate === undefined) !== (key === undefined))
    throw new UsageError('--cert-file and --key-file go together');
  if (certificate !== undefined)
    return { certificate, key: key!, ...(authorities === undefined ? {} : { authorities }) };
  const said = environment['SSOM_TLS'] ?? '';
  if (!['', 'true', 'false'].includes(said)) throw new UsageError(`SSOM_TLS must be true or false, not '${said}'`);
  return authorities ?? flags.tls ?? said === 'true';
}

/** Whoever listens on the way could use it. @throws UsageError unless SSOM_TLS=false says that the way is safe */
function refuseInClear({ environment }: Context, addresses: readonly string[]): void {
  const remote = addresses.find((address) => !LOOPBACK.test(address));
  if (remote === undefined || environment['SSOM_TLS'] === 'false') return;
  throw new UsageError(
    `a token would go to ${remote} in clear: add --tls or --ca-file, or set SSOM_TLS=false where something else encrypts`,
  );
}

function readText(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${what} cannot be read from '${file}' (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** The signed token to call with, read again whenever one is needed; undefined: the service is told a name. */
function tokenSource({ environment }: Context, flags: ConnectionFlags): TokenSource | undefined {
  const file = flags.tokenFile ?? (environment['SSOM_TOKEN_FILE'] || undefined);
  if (file === undefined) return environment['SSOM_TOKEN'] || undefined;
  const read = () => readText(file, 'the token').trim();
  if (read() === '') throw new UsageError(`there is no token in '${file}'`);
  return read;
}

/**
 * Does something with a client, and closes it.
 * @returns what `work` returns, 1 if a call failed (which is printed), 75 if it may succeed later, 130 if Ctrl-C ended
 * it
 */
export async function withClient(
  context: Context,
  flags: ConnectionFlags,
  identity: ClientOptions['identity'],
  work: (client: AlertClient, signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const { environment } = context;
  const address = flags.address ?? (environment['SSOM_ADDRESS'] || ADDRESS_DEFAULT);
  const streamAddress = flags.streamAddress ?? (environment['SSOM_STREAM_ADDRESS'] || address);
  for (const one of [address, streamAddress]) {
    if (!ADDRESS.test(one))
      throw new UsageError(`'${one}' is no address; it must be host:port, for example ${ADDRESS_DEFAULT}`);
  }
  const token = tokenSource(context, flags);
  const tls = tlsOf(context, flags);
  if (token !== undefined && tls === false) refuseInClear(context, [address, streamAddress]);
  if (token !== undefined && (flags as CallerFlags).caller !== undefined)
    throw new UsageError('--caller does not go with a token, which says who calls');
  const signal = context.interrupted();
  let client: AlertClient | undefined;
  try {
    client = createClient({ address, streamAddress, identity: token === undefined ? identity : { token }, tls });
    return await work(client, signal);
  } catch (error) {
    if (signal.aborted) return INTERRUPTED;
    if (!(error instanceof AlertClientError)) throw error;
    for (const line of describeError(error, address)) say(context, line);
    return error.canRetry ? TRY_AGAIN : FAILED;
  } finally {
    client?.close();
  }
}

/** For an option that may be given several times. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

export type ProtoKind = `ALERT_KIND_${AlertKind}`;
export type ProtoLevel = `ALERT_LEVEL_${AlertLevel}`;

/** Parsers of options that may be given several times: each value is added to those before. */
const collectors = new Set<unknown>([collect, collectKinds, collectIds]);

/** What an option is read with that may be given several times. */
export function repeatable<T>(parse: T): T {
  collectors.add(parse);
  return parse;
}

/** Makes every other option that takes a value refuse to be given twice: the last one would count, in silence. */
export function refuseRepeats(command: Command): void {
  for (const option of command.options) {
    if (!(option.required || option.optional) || collectors.has(option.parseArg)) continue;
    let times = 0;
    command.on(`option:${option.name()}`, () => {
      times += 1;
      if (times > 1) command.error(`error: option '${option.flags}' was given more than once`);
    });
  }
  command.commands.forEach(refuseRepeats);
}

/** `GRAFANA`, or several with commas; the option may be given several times. */
export function collectKinds(value: string, before: readonly ProtoKind[] | undefined): readonly ProtoKind[] {
  return [...(before ?? []), ...value.split(',').map(parseKind)];
}

export function parseKind(value: string): ProtoKind {
  const kind = findEnum(value.trim(), 'ALERT_KIND', ALERT_KINDS);
  if (kind === undefined) throw new InvalidArgumentError(`It must be one of ${ALERT_KINDS.join(', ')}.`);
  return kind;
}

export function parseLevel(value: string): ProtoLevel {
  const level = findEnum(value.trim(), 'ALERT_LEVEL', ALERT_LEVELS);
  if (level === undefined) throw new InvalidArgumentError(`It must be one of ${ALERT_LEVELS.join(', ')}.`);
  return level;
}

/** A number of the alert service, or of a limit: whole, greater than 0, exact. */
export function parseWhole(value: string): number {
  const number = Number(value);
  if (/^\d+$/.test(value) && number >= 1 && Number.isSafeInteger(number)) return number;
  throw new InvalidArgumentError('It must be a whole number from 1 to 9007199254740991.');
}

export function collectIds(value: string, before: readonly number[] | undefined): readonly number[] {
  return [...(before ?? []), parseWhole(value)];
}

/** Options that narrow down what is shown. */
export interface FilterFlags {
  readonly unreadOnly?: boolean;
  readonly kind?: readonly ProtoKind[];
  readonly minLevel?: ProtoLevel;
}

export function filterFlags(command: Command): Command {
  return command
    .option('--unread-only', 'only unread ones')
    .option('--kind <kind>', `only this kind (may be repeated): ${ALERT_KINDS.join(', ')}`, collectKinds)
    .option('--min-level <level>', `only this level and above: ${ALERT_LEVELS.join(', ')}`, parseLevel);
}

/** The filter as requests have it. */
export function toFilter(flags: FilterFlags) {
  return {
    unreadOnly: flags.unreadOnly ?? false,
    kinds: [...(flags.kind ?? [])],
    minimumLevel: flags.minLevel ?? ('ALERT_LEVEL_UNSPECIFIED' as const),
  };
}

/** Commander's two ways to say that a value is not right, before it says what would be. */
const NOT_RIGHT =
  /^error: (?:command-argument value '(.*)' is invalid for argument '(.*?)'|option '(\S+).*?' argument '(.*)' is invalid)\. /s;

/** What commander says of the command line, in the words of its help: `error: --limit 'x' is wrong. It must be …`. */
export function inWordsOfHelp(text: string): string {
  return text.replace(NOT_RIGHT, (_, argument?: string, name?: string, option?: string, value?: string) =>
    oneLine(
      name === undefined ? `error: ${option} '${value}' is wrong. ` : `error: <${name}> '${argument}' is wrong. `,
    ),
  );
}

/** Help below a command's options. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

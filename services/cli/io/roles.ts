import type { Command } from 'commander';
import { PROCESS_NAMES, type ProcessName, ROLE_NAMES } from '../../domain/role-names.js';
import { type Context, UsageError } from '../context.js';
import { messageOf } from '../views/problems.js';
import { isObject } from './fields.js';
import { MetricsPage } from './metrics-page.js';

/** Where the roles of one machine serve HTTP unless HTTP_LISTEN says otherwise, in the order of ROLE_NAMES. */
const FIRST_PORT = 9464;
const DEFAULT_ADDRESSES = ROLE_NAMES.map((_, index) => `127.0.0.1:${FIRST_PORT + index}`);
const ADDRESS = /^(\[[0-9a-fA-F:.]+\]|[^\s:/@?#]+):\d{1,5}$/;
/** A role answers within milliseconds; one that does not in this time is stopped, or overwhelmed. */
const PATIENCE_MS = 2000;

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly required: boolean;
  readonly reason: string;
}

/** A process of the service, as it tells of itself. */
export interface RoleState {
  readonly address: string;
  /** A role, `standalone`, or undefined: it did not say. */
  readonly name: ProcessName | undefined;
  /** Why nothing is known of it; undefined: it has answered. */
  readonly away: string | undefined;
  readonly ready: boolean;
  readonly checks: readonly Check[];
  /** Empty if it serves none. */
  readonly metrics: MetricsPage;
}

export interface RolesFlags {
  readonly roles?: string;
}

export function rolesFlag(command: Command): Command {
  return command.option(
    '--roles <host:port,…>',
    'where the roles serve HTTP: /readyz and /metrics, every instance ' +
      `(env SSOM_ROLES; default 127.0.0.1:${FIRST_PORT} to ${FIRST_PORT + ROLE_NAMES.length - 1})`,
  );
}

/** Where to ask. @throws UsageError if one is no address, or none is named where they should be */
export function roleAddresses({ environment }: Context, { roles }: RolesFlags): readonly string[] {
  // An empty variable is as good as none; an empty option is a script's variable that was not set.
  const given = roles ?? (environment['SSOM_ROLES'] || undefined);
  if (given === undefined) return DEFAULT_ADDRESSES;
  const addresses = given
    .split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '');
  if (addresses.length === 0) {
    const where = roles === undefined ? 'SSOM_ROLES' : '--roles';
    throw new UsageError(
      `${where} '${given}' names no role; it must be host:port, several with commas, for example 127.0.0.1:9464`,
    );
  }
  for (const address of addresses) {
    if (!ADDRESS.test(address))
      throw new UsageError(`'${address}' is no address of a role; it must be host:port, for example 127.0.0.1:9464`);
  }
  return [...new Set(addresses)];
}

/** Asks all of them at once. Never fails: one that does not answer is away. */
export async function readRoles(addresses: readonly string[], signal?: AbortSignal): Promise<RoleState[]> {
  const states = await Promise.all(addresses.map((address) => readRole(address, signal)));
  // `npm start` has all roles on the first port, so that the others are not missing.
  const alone = addresses === DEFAULT_ADDRESSES && states.some(({ name, away }) => name === 'standalone' && !away);
  return alone ? states.filter(({ away }) => away === undefined) : states;
}

async function readRole(address: string, signal: AbortSignal | undefined): Promise<RoleState> {
  const usual = ROLE_NAMES[DEFAULT_ADDRESSES.indexOf(address)];
  const timeout = AbortSignal.timeout(PATIENCE_MS);
  const options = {
    signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    redirect: 'error' as const,
  };
  const nothing = { address, ready: false, checks: [], metrics: new MetricsPage('') };
  try {
    const [readiness, metrics] = await Promise.all([
      fetch(`http://${address}/readyz`, options).then((response) => response.text()),
      fetch(`http://${address}/metrics`, { ...options, headers: { accept: 'text/plain' } }).then(async (response) =>
        response.ok ? response.text() : '',
      ),
    ]);
    const checks = readChecks(readiness);
    if (checks === undefined) return { ...nothing, name: undefined, away: 'what answers there is no role of ours' };
    const page = new MetricsPage(metrics);
    return {
      address,
      name: nameIn(page) ?? usual,
      away: undefined,
      ready: checks.every(({ ok, required }) => ok || !required),
      checks,
      metrics: page,
    };
  } catch (error) {
    return { ...nothing, name: usual, away: timeout.aborted ? `no answer in ${PATIENCE_MS} ms` : reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  const message = messageOf(cause ?? error);
  return message.includes('ECONNREFUSED') ? 'nothing listens there' : message;
}

function nameIn(page: MetricsPage): RoleState['name'] {
  const service = page.samples('target_info')[0]?.labels['service_name'];
  return PROCESS_NAMES.find((name) => service === `ssom-${name}`);
}

/** @returns undefined if the text is no answer of /readyz */
function readChecks(text: string): Check[] | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(answer) || !isObject(answer['checks'])) return undefined;
  return Object.entries(answer['checks']).map(([name, check]) => {
    const { ok, required, reason } = isObject(check) ? check : {};
    return { name, ok: ok === true, required: required !== false, reason: typeof reason === 'string' ? reason : '' };
  });
}

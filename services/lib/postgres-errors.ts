import { CircuitOpen } from './breaker.js';
import { tlsFault } from './tls-errors.js';

/**
 * What an error of the database says. Everybody who decides by one asks here.
 *
 * | failure    | what it means                                                  | breaker | a record    | gRPC             |
 * | ---------- | -------------------------------------------------------------- | ------- | ----------- | ---------------- |
 * | outage     | the server is away, full, read-only, or lets nobody in         | hears   | waits       | UNAVAILABLE      |
 * | contention | others hold what it needs, or it took too long: later it works | does not| waits       | UNAVAILABLE      |
 * | data       | the values are at fault: the same statement fails again        | does not| is poison   | INVALID_ARGUMENT |
 * | bug        | the statement is at fault, or nobody knows what is             | does not| is suspect  | INTERNAL         |
 */
export type DatabaseFailure = 'outage' | 'contention' | 'data' | 'bug';

type Judgement = readonly [failure: DatabaseFailure, reason: string];

/** The classes of SQLSTATE: its first two characters. What is not listed is a bug. */
const CLASSES: Readonly<Record<string, Judgement>> = {
  '01': ['bug', 'a warning is no error, unless somebody makes one of it'],
  '02': ['bug', 'no data: only PL/pgSQL asks so'],
  '03': ['bug', 'a statement is not complete'],
  '08': ['outage', 'the connection broke, or could not be made'],
  '09': ['bug', 'a trigger failed'],
  '0A': ['bug', 'the server does not know this statement; a cached plan that no longer fits is one as well'],
  '0B': ['bug', 'a transaction was begun wrongly'],
  '21': ['bug', 'a statement that may touch a row once touched it twice'],
  '22': ['data', 'a value is out of range, or no text'],
  '23': ['data', 'a constraint refuses the values'],
  '24': ['bug', 'a cursor was used wrongly'],
  '25': ['bug', 'a statement came at the wrong point of a transaction'],
  '26': ['bug', 'a prepared statement is gone: a pooler between us gave its connection to somebody else'],
  '27': ['bug', 'a trigger changed what the statement changes'],
  '28': ['outage', 'the server does not let us in: nothing can be done until somebody mends that'],
  '2B': ['bug', 'rights hang on what is dropped'],
  '2D': ['bug', 'a transaction was ended wrongly'],
  '2F': ['bug', 'a function failed'],
  '34': ['bug', 'a cursor does not exist'],
  '38': ['bug', 'a function failed'],
  '39': ['bug', 'a function failed'],
  '3B': ['bug', 'a savepoint does not exist'],
  '3D': ['outage', 'the database does not exist (yet, or until it is restored)'],
  '3F': ['outage', 'the schema does not exist (yet, or until it is restored)'],
  '40': ['contention', 'rolled back because of others, or of a replay on a standby; it was repeated, and may be again'],
  '42': ['bug', 'the statement is wrong'],
  '44': ['data', 'a view refuses the values'],
  '53': ['outage', 'no memory, no disk or no connection is left'],
  '54': ['data', 'the values are larger than an index or a statement can hold'],
  '55': ['bug', 'something is not in the state that the statement needs'],
  '57': ['outage', 'an operator or a crash ends the connections'],
  '58': ['outage', 'the disk or the operating system fails'],
  '72': ['contention', 'it took so long that its snapshot is too old'],
  F0: ['outage', 'the configuration of the server is wrong'],
  HV: ['bug', 'a foreign table failed'],
  P0: ['bug', 'PL/pgSQL failed'],
  XX: ['bug', 'the server has a bug'],
};

/** Those that say something else than their class. */
const STATES: Readonly<Record<string, Judgement>> = {
  '08P01': ['bug', 'we broke the protocol, by too many bindings say; of severity FATAL see ENDED_BY_POOLER'],
  '0A000': ['bug', 'not supported'],
  '2200H': ['outage', 'a sequence has no number left: no record is at fault'],
  '25006': ['outage', 'the server became read-only: another one is the primary now, or will be'],
  '25P03': ['outage', 'the server ended our connection, since we were silent in a transaction'],
  '25P04': ['contention', 'the transaction took too long (transaction_timeout)'],
  '42501': ['outage', 'we lack a right, which somebody must grant; the breaker does not hear of it'],
  '42P01': ['outage', 'the tables are not made yet'],
  '42703': ['outage', 'a column is not made yet: a role runs before the migration'],
  '53400': ['contention', 'a limit for one statement, of its temporary files say: others go on'],
  '55006': ['contention', 'somebody else uses it'],
  '55P03': ['contention', 'a lock was not to be had in time'],
  '57014': ['contention', 'it took too long, or was cancelled: the server is there, and the next one may be quicker'],
  XX001: ['contention', 'a page of a table is damaged: no record is at fault, and others go on'],
  XX002: ['contention', 'a page of an index is damaged: no record is at fault, and others go on'],
};

export const READ_ONLY = '25006';
export const INSUFFICIENT_PRIVILEGE = '42501';
/** What a user is told who may not use the schema. */
const NO_SCHEMA = '3F000';
export const UNIQUE_VIOLATION = '23505';
/** Somebody else held a row for longer than the lock time-out. */
export const LOCK_NOT_AVAILABLE = '55P03';

/** What its breaker is called. */
export const POSTGRESQL = 'PostgreSQL';

/**
 * A pooler says everything with 08P01 (that it cannot reach the server, say) and hangs up; of ours PostgreSQL says it
 * with ERROR.
 */
const ENDED_BY_POOLER: Judgement = ['outage', 'a pooler ended the connection'];

/** Refused by us, before anything was sent. */
export const POOL_FULL = 'EPOOLFULL';
export const CALL_ENDED = 'ECALLENDED';
export const DATABASE_ENDING = 'EDATABASEENDING';
export const TOO_MANY_BINDINGS = 'ETOOMANYBINDINGS';

/** Codes of Node's errors, and of our own, by how they begin. TLS has a hundred of them. */
const CODES: readonly (readonly [code: RegExp, ...Judgement])[] = [
  [/^EPOOLFULL$/, 'contention', 'too many wait for a connection already'],
  [/^ECALLENDED$/, 'contention', 'nobody waits for the result any more, and nothing was done'],
  [/^EDATABASEENDING$/, 'outage', 'this process ends: it does not hear any more what became of a statement'],
  [/^ETOOMANYBINDINGS$/, 'bug', 'a statement has more bindings than the protocol can count'],
  [/^ECONN|^EPIPE$|^ENOTCONN$|^ESHUTDOWN$|^EPROTO$/, 'outage', 'nobody listens, or the connection broke'],
  [/^ENOTFOUND$|^EAI_/, 'outage', 'the name of the host cannot be resolved now'],
  [/^ETIMEDOUT$|^EHOST|^ENET/, 'outage', 'the network does not get there'],
  [/^EADDRNOTAVAIL$/, 'outage', 'this machine has no port left for another connection, or has lost its address'],
  [/^EMFILE$|^ENFILE$/, 'outage', 'no file can be opened: this process or machine has too many connections'],
  [/^ENOBUFS$|^ENOMEM$/, 'outage', 'the kernel has no memory for a connection'],
  [
    /^ENOENT$|^EACCES$|^EPERM$/,
    'outage',
    'a socket in the file system is away or closed to us; a firewall says so as well',
  ],
  [/^ERR_(SSL|TLS|STREAM|SOCKET)_|CERT|^CRL_|SIGNATURE|^HOSTNAME_MISMATCH$/, 'outage', 'TLS was refused, or ended'],
];

/** Messages of errors of pg that have no code. */
const MESSAGES: readonly (readonly [message: RegExp, ...Judgement])[] = [
  // Whether the server is away the statements that hold the connections find out, and the probe of readiness.
  [/^timeout exceeded when trying to connect/, 'contention', 'all connections of the pool are in use for too long'],
  [
    /^Connection terminated|^Connection ended|^timeout expired/,
    'outage',
    'the connection broke, or was not made in time',
  ],
  [/^Query read timeout/, 'outage', 'not even the end of a statement that took too long was heard'],
  [/not queryable|^Cannot use a pool after/, 'outage', 'the connection was closed a moment ago'],
  [/SSL connection/, 'outage', 'TLS was refused'],
  [/^SASL/, 'outage', 'the password was refused'],
];

/** What pg says when the server has no TLS. */
const NO_TLS = 'The server does not support SSL connections';

/**
 * SQLSTATE of an error that the server reported, or undefined if the connection itself failed (EPIPE is no SQLSTATE).
 */
export function sqlState(error: unknown): string | undefined {
  const code = codeOf(error);
  return code !== undefined && /^(?=.*\d)[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** What an error says of the database, and why; undefined if it does not come from there. */
export function judgeDatabaseError(error: unknown): { failure: DatabaseFailure; reason: string } | undefined {
  const judgement = judge(error);
  return judgement && { failure: judgement[0], reason: judgement[1] };
}

function judge(error: unknown): Judgement | undefined {
  if (error instanceof CircuitOpen) return error.what === POSTGRESQL ? ['outage', 'the breaker is open'] : undefined;
  const state = sqlState(error);
  if (state !== undefined) {
    const { severity } = error as { severity?: unknown };
    if (state === '08P01' && severity === 'FATAL') return ENDED_BY_POOLER;
    return STATES[state] ?? CLASSES[state.slice(0, 2)] ?? ['bug', 'a code that is not known'];
  }
  const code = codeOf(error);
  const { message } = (error ?? {}) as { message?: unknown };
  const found =
    CODES.find(([pattern]) => code !== undefined && pattern.test(code)) ??
    MESSAGES.find(([pattern]) => typeof message === 'string' && pattern.test(message));
  return found === undefined ? undefined : [found[1], found[2]];
}

/**
 * Where a server that is there refuses us until somebody mends it: what to look at. Undefined: the error says something
 * else.
 */
export function whatToMend(error: unknown): string | undefined {
  const state = sqlState(error) ?? '';
  const { message } = (error ?? {}) as { message?: unknown };
  const fault = tlsFault(error);
  if (fault !== undefined) return `${fault}; look at host, sslrootcert and sslcert in DATABASE_URL`;
  if (message === NO_TLS) return 'turn TLS on there (ssl = on), or say sslmode=disable in DATABASE_URL';
  if (state.startsWith('28') || (typeof message === 'string' && message.startsWith('SASL')))
    return "look at user and password in DATABASE_URL, and at the server's pg_hba.conf";
  if (state === '3D000') return 'make that database, or name another one in DATABASE_URL';
  if (state === INSUFFICIENT_PRIVILEGE || state === NO_SCHEMA)
    return 'run `ssom-alert database grants`, or name in DATABASE_URL the user that belongs to this role';
  if (state === '42P01' || state === '42703') return 'run `ssom-alert migrate`';
  return undefined;
}

function databaseFailure(error: unknown): DatabaseFailure | undefined {
  return judge(error)?.[0];
}

/** Whether the database itself is the trouble, so that the same statement may work later. */
export function isOutage(error: unknown): boolean {
  return databaseFailure(error) === 'outage';
}

/** Whether a statement waited too long for others, or was too slow: no evidence against the server or the values. */
export function isContention(error: unknown): boolean {
  return databaseFailure(error) === 'contention';
}

/** Whether the values of a statement are at fault: the same statement fails again, and another one need not. */
export function isDataError(error: unknown): boolean {
  return databaseFailure(error) === 'data';
}

/**
 * Whether the statement was rolled back because of others (deadlock, serialization) and will work when repeated at
 * once.
 */
export function isConflict(error: unknown): boolean {
  return sqlState(error)?.startsWith('40') === true;
}

import { shown } from './check.js';
import { AlertClientError, messageOf } from './errors.js';

/** `refused`: the service did not accept the last one, so a token that was kept must be fetched again. */
export type TokenSource = string | ((refused: boolean) => string | Promise<string>);

/**
 * Who calls: where the service runs with AUTH_MODE=dev a user (its own inbox) or a calling service, by name; elsewhere
 * a bearer token, or what gives one when it is needed.
 */
export type ClientIdentity =
  { readonly userId: string } | { readonly caller: string } | { readonly token: TokenSource };

const HEADERS = { userId: 'x-user-id', caller: 'x-caller' } as const;
const FIELDS = ['userId', 'caller', 'token'] as const;

/** gRPC metadata takes no other text; the service takes up to 128 characters. */
const SUBJECT = /^[\x21-\x7e]([\x20-\x7e]{0,126}[\x21-\x7e])?$/;

/** The service takes no longer token, and a much longer one would end the connection. */
const TOKEN_LENGTH_MAX = 16_384;

type Header = [name: string, value: string];

/** What a header takes. Others are not shown: they are secret all the same. */
const TOKEN = /^[\x21-\x7e]+$/;

function identityInvalid(message: string, cause?: unknown): AlertClientError {
  return new AlertClientError('INVALID_ARGUMENT', 'IDENTITY_INVALID', message, { cause });
}

function bearer(token: unknown): Header {
  if (typeof token === 'string' && token.length > TOKEN_LENGTH_MAX)
    throw identityInvalid(`identity.token has ${token.length} characters, of at most ${TOKEN_LENGTH_MAX}`);
  if (typeof token === 'string' && TOKEN.test(token)) return ['authorization', `Bearer ${token}`];
  const not = typeof token === 'string' ? '' : `, not ${typeof token}`;
  throw identityInvalid(`identity.token must be printable ASCII characters without spaces${not}`);
}

async function ask(source: (refused: boolean) => string | Promise<string>, refused: boolean): Promise<string> {
  try {
    return await source(refused);
  } catch (error) {
    const message = `identity.token gave no token: ${messageOf(error)}`;
    if (isMistake(error)) throw identityInvalid(message, error);
    throw new AlertClientError('UNAVAILABLE', 'TOKEN_SOURCE_FAILED', message, { cause: error });
  }
}

/**
 * A mistake in the function, which is there the next time too. Where fetch throws a TypeError the network is the cause.
 */
function isMistake(error: unknown): boolean {
  return error instanceof ReferenceError || (error instanceof TypeError && error.cause === undefined);
}

/**
 * @returns what gives the header of a call
 * @throws AlertClientError INVALID_ARGUMENT (IDENTITY_INVALID) for what is none, or what a header cannot carry
 */
export function identityHeader(identity: ClientIdentity): (refused: boolean) => Promise<Header> {
  const given = Object(identity) as Partial<Record<string, unknown>>;
  const [field, ...others] = FIELDS.filter((name) => name in given);
  if (field === undefined || others.length > 0) {
    const found = field === undefined ? shown(identity) : [field, ...others].join(' and ');
    throw identityInvalid(`identity must be one of { userId }, { caller } and { token }, not ${found}`);
  }
  if (field === 'token') return tokenHeader(given['token']);
  const subject = given[field];
  if (typeof subject === 'string' && SUBJECT.test(subject)) return () => Promise.resolve([HEADERS[field], subject]);
  throw identityInvalid(`identity.${field} must be 1 to 128 printable ASCII characters, not ${shown(subject)}`);
}

function tokenHeader(token: unknown): (refused: boolean) => Promise<Header> {
  if (typeof token === 'string') {
    const header = bearer(token);
    return () => Promise.resolve(header);
  }
  if (typeof token !== 'function') {
    throw identityInvalid(`identity.token must be a token or a function that gives one, not ${typeof token}`);
  }
  const source = token as (refused: boolean) => string | Promise<string>;
  return async (refused) => bearer(await ask(source, refused));
}

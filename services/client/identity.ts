import { AlertClientError } from './errors.js';

/** `refused`: the service did not accept the last one, so a token that was kept must be made anew. */
export type TokenSource = string | ((refused: boolean) => string | Promise<string>);

/**
 * Who calls: where the service runs with AUTH_MODE=dev a user (its own inbox) or a calling service, by name; elsewhere a
 * bearer token, or what gives one when it is needed.
 */
export type ClientIdentity =
  { readonly userId: string } | { readonly caller: string } | { readonly token: TokenSource };

/** gRPC metadata takes no other text; the service takes up to 128 characters. */
const SUBJECT = /^[\x21-\x7e]([\x20-\x7e]{0,126}[\x21-\x7e])?$/;

type Header = [name: string, value: string];

/** What a header takes. Others are not shown: they are secret all the same. */
const TOKEN = /^[\x21-\x7e]+$/;

function bearer(token: string): Header {
  if (TOKEN.test(token)) return ['authorization', `Bearer ${token}`];
  const message = 'identity.token must be printable ASCII characters without spaces';
  throw new AlertClientError('INVALID_ARGUMENT', 'IDENTITY_INVALID', message);
}

async function ask(source: (refused: boolean) => string | Promise<string>, refused: boolean): Promise<string> {
  try {
    return await source(refused);
  } catch (error) {
    const message = `identity.token gave no token: ${(error as Error).message}`;
    throw new AlertClientError('UNAVAILABLE', 'TOKEN_SOURCE_FAILED', message, { cause: error });
  }
}

/**
 * @returns what gives the header of a call
 * @throws AlertClientError INVALID_ARGUMENT (IDENTITY_INVALID) for what a header cannot carry
 */
export function identityHeader(identity: ClientIdentity): (refused: boolean) => Promise<Header> {
  if ('token' in identity) {
    const { token } = identity;
    if (typeof token === 'string') {
      const header = bearer(token);
      return () => Promise.resolve(header);
    }
    return async (refused) => bearer(await ask(token, refused));
  }
  const [field, header, subject] =
    'userId' in identity ? ['userId', 'x-user-id', identity.userId] : ['caller', 'x-caller', identity.caller];
  if (SUBJECT.test(subject)) return () => Promise.resolve([header, subject]);
  throw new AlertClientError(
    'INVALID_ARGUMENT',
    'IDENTITY_INVALID',
    `identity.${field} must be 1 to 128 printable ASCII characters, not '${subject}'`,
  );
}

import type { Metadata } from '@grpc/grpc-js';
import { AlertError, invalidArgument } from '../domain/errors.js';
import type { CertificateIdentities } from '../lib/auth/certificate-identities.js';
import type { JwtVerifier } from '../lib/auth/jwt.js';
import type { Authenticate, Identity } from '../lib/grpc/identity.js';
import { requireOneOf, type Scope, SCOPES } from './scopes.js';

const USER_SCOPES: ReadonlySet<Scope> = new Set<Scope>(['inbox']);
const ALL_SCOPES: ReadonlySet<Scope> = new Set(SCOPES);
const SUBJECT_MAX = 128;

/**
 * AUTH_MODE=dev: believes the metadata `x-user-id` (that user, scope inbox) or `x-caller` (a service, all scopes).
 * @throws AlertError UNAUTHENTICATED without either, INVALID_ARGUMENT with both
 */
export const devIdentity = (metadata: Metadata): Identity => {
  const user = single(metadata, 'x-user-id');
  const caller = single(metadata, 'x-caller');
  if (user !== undefined && caller !== undefined) {
    throw invalidArgument([{ field: 'metadata', description: 'must have x-user-id or x-caller, not both' }]);
  }
  if (user !== undefined) return { kind: 'user', subject: user, scopes: USER_SCOPES, credential: 'dev' };
  if (caller !== undefined) return { kind: 'service', subject: caller, scopes: ALL_SCOPES, credential: 'dev' };
  const problem =
    metadata.get('authorization').length > 0
      ? 'this service runs with AUTH_MODE=dev, which takes no bearer token'
      : 'the call names no identity';
  throw new AlertError(
    'UNAUTHENTICATED',
    'NO_IDENTITY',
    `${problem}; send the metadata x-user-id (a user) or x-caller (a service)`,
  );
};

/**
 * AUTH_MODE=jwt: believes the signed token in `authorization: Bearer`, and of who sends none the certificate, where
 * there is a file that says whose it is.
 * @throws AlertError UNAUTHENTICATED without either (TOKEN_MISSING), or for what is wrong with it
 */
export function jwtIdentity(verifier: JwtVerifier, services?: CertificateIdentities): Authenticate {
  return (metadata, peer, certificate) => {
    const values = metadata.get('authorization');
    const shown = services === undefined || values.length > 0 ? undefined : certificate();
    if (shown !== undefined) return services!.identityOf(shown);
    const [, token] = values.length === 1 ? (/^bearer +(\S+)$/i.exec(values[0]!.toString()) ?? []) : [];
    if (token !== undefined) return verifier.verify(token, peer);
    const problem = values.length > 1 ? 'has several' : 'has none';
    const message = `the call must have one metadata 'authorization: Bearer <token>'; it ${problem} of that form`;
    throw new AlertError('UNAUTHENTICATED', 'TOKEN_MISSING', message);
  };
}

function single(metadata: Metadata, key: string): string | undefined {
  const values = metadata.get(key);
  if (values.length === 0) return undefined;
  const value = values[0]!.toString();
  if (values.length > 1 || value === '' || value.length > SUBJECT_MAX) {
    throw invalidArgument([
      { field: `metadata.${key}`, description: `must be one value of 1 to ${SUBJECT_MAX} characters` },
    ]);
  }
  return value;
}

/**
 * The user whose inbox a call is about: the named one, or the caller.
 * @throws AlertError PERMISSION_DENIED if that is another user and the caller is no admin, INVALID_ARGUMENT if a
 * service names no user, or one that no statement can ask for: it would fail the calls of others that share the
 * statement
 */
export function inboxOwner(identity: Identity, userId: string): string {
  if (userId === '' && identity.kind === 'user') return identity.subject;
  if (identity.kind === 'user' && userId === identity.subject) return userId;
  requireOneOf(identity, ['admin']);
  if (userId === '') {
    throw invalidArgument([
      { field: 'user_id', description: 'is required when a service calls: a service has no inbox' },
    ]);
  }
  if (userId.includes('\0')) {
    throw invalidArgument([{ field: 'user_id', description: 'must not contain the character U+0000' }]);
  }
  return userId;
}

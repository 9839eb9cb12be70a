import type { Metadata } from '@grpc/grpc-js';
import type { ClientCertificate } from './client-certificate.js';

/** Names of users and services; longer ones would not fit the index of request ids (create-alert-request.ts). */
export const SUBJECT = /^[\x21-\x7e]([\x20-\x7e]{0,126}[\x21-\x7e])?$/;

/** Who calls: a user or a service, and what it may do. */
export interface Identity {
  readonly kind: 'user' | 'service';
  readonly subject: string;
  readonly scopes: ReadonlySet<string>;
  /** By what it was proven, such as `jwt iss=… jti=…`, `mtls spiffe://…` or `dev`; printable, and no secret. */
  readonly credential: string;
  /** Until when it may be believed, in milliseconds since 1970; undefined: as long as it calls. */
  readonly expiresAt?: number;
}

/**
 * Who calls, by what the call brought.
 * @param peer the address that it came from
 * @param certificate what the client has shown in TLS, if anything
 * @returns at once where nothing has to be asked or computed
 * @throws AlertError UNAUTHENTICATED if the call says nobody, or what cannot be believed
 */
export type Authenticate = (
  metadata: Metadata,
  peer: string,
  certificate: () => ClientCertificate | undefined,
) => Identity | Promise<Identity>;

/** Under which name a caller's alerts are stored, and its request ids counted. No service's name begins so. */
export function callerName({ kind, subject }: Identity): string {
  return kind === 'user' ? ` ${subject}` : subject;
}

/** By what callers take turns and share room: a user and a service of one name are two. */
export function callerKey({ kind, subject }: Pick<Identity, 'kind' | 'subject'>): string {
  return `${kind} ${subject}`;
}

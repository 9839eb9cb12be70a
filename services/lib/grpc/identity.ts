import type { Metadata } from '@grpc/grpc-js';

/** Who calls: a user or a service, and what it may do. */
export interface Identity {
  readonly kind: 'user' | 'service';
  readonly subject: string;
  readonly scopes: ReadonlySet<string>;
  /** Until when it may be believed, in milliseconds since 1970; undefined: as long as it calls. */
  readonly expiresAt?: number;
}

/**
 * Who calls, by what the call brought.
 * @param peer the address that it came from
 * @param signal aborted when nobody waits for the answer any more
 * @returns at once where nothing has to be asked or computed
 * @throws AlertError UNAUTHENTICATED if the call says nobody, or what cannot be believed
 */
export type Authenticate = (metadata: Metadata, peer: string, signal: AbortSignal) => Identity | Promise<Identity>;

/** By what callers take turns and share room: a user and a service of one name are two. */
export function callerKey({ kind, subject }: Identity): string {
  return `${kind} ${subject}`;
}

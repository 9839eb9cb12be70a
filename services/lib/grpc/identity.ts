import type { Metadata } from '@grpc/grpc-js';

/** Who calls: a user or a service, and what it may do. */
export interface Identity {
  readonly kind: 'user' | 'service';
  readonly subject: string;
  readonly scopes: ReadonlySet<string>;
}

/** @throws AlertError UNAUTHENTICATED if the call says nobody */
export type Authenticate = (metadata: Metadata) => Identity;

/** By what callers take turns and share room: a user and a service of one name are two. */
export function callerKey({ kind, subject }: Identity): string {
  return `${kind} ${subject}`;
}

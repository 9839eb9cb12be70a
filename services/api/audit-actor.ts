import type { AuditActor } from '../domain/audit.js';
import type { CallContext } from '../lib/grpc/call-context.js';
import type { Identity } from '../lib/grpc/identity.js';

/** Who a call is accounted to. */
export function actorOf({ identity, peer, said }: CallContext): AuditActor {
  const { kind, subject, credential } = identity;
  return { kind, subject, credential, peer, ...said };
}

/** Whether an inbox is not the caller's own, so that it needed to be an admin. */
export function isAnothers({ kind, subject }: Identity, owner: string): boolean {
  return kind !== 'user' || subject !== owner;
}

import { actorOf, isAnothers } from '../api/audit-actor.js';
import type { AuditAction } from '../domain/audit.js';
import type { CallContext } from '../lib/grpc/call-context.js';
import { type Account, accountOf, NO_ACCOUNT } from '../store/audit.js';

/** Accounts for a change of another's inbox or device; what people do to their own is the business itself. */
export function adminAccount(call: CallContext, action: AuditAction, owner: string): Account {
  return isAnothers(call.identity, owner) ? accountOf(actorOf(call), action, owner) : NO_ACCOUNT;
}

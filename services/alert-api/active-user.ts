import { inboxOwner } from '../api/access.js';
import { userInactive, userNotFound } from '../api/user-errors.js';
import type { Identity } from '../lib/grpc/identity.js';
import type { Database } from '../lib/postgres.js';
import { findUsers } from '../store/directory.js';

/**
 * The user whose inbox or devices a call is about, if there is one and it is active.
 * @param named by the request; empty: the caller
 * @throws AlertError NOT_FOUND or PERMISSION_DENIED
 */
export async function activeOwner(database: Database, identity: Identity, named: string): Promise<string> {
  const userId = inboxOwner(identity, named);
  const user = (await findUsers(database, [userId])).get(userId);
  if (user === undefined) throw userNotFound(userId);
  if (!user.active) throw userInactive(userId);
  return userId;
}

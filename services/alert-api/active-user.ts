import { AlertError } from '../domain/errors.js';
import { inboxOwner } from '../api/access.js';
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
  if (user === undefined) {
    throw new AlertError(
      'NOT_FOUND',
      'USER_NOT_FOUND',
      `there is no user '${userId}' in the directory; UpsertUsers adds users`,
    );
  }
  if (!user.active) throw inactive(userId);
  return userId;
}

export function inactive(userId: string): AlertError {
  return new AlertError('PERMISSION_DENIED', 'USER_INACTIVE', `user '${userId}' is inactive`);
}

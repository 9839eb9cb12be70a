import { AlertError } from '../domain/errors.js';
import type { Database } from '../lib/postgres.js';
import { findUsers } from '../store/directory.js';

/**
 * The user, if there is one and it is active.
 * @throws AlertError NOT_FOUND or PERMISSION_DENIED
 */
export async function requireActiveUser(database: Database, userId: string): Promise<string> {
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

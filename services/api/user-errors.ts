import { AlertError } from '../domain/errors.js';

export function userNotFound(userId: string): AlertError {
  const message = `there is no user '${userId}' in the directory; UpsertUsers adds users`;
  return new AlertError('NOT_FOUND', 'USER_NOT_FOUND', message);
}

export function userInactive(userId: string): AlertError {
  return new AlertError('PERMISSION_DENIED', 'USER_INACTIVE', `user '${userId}' is inactive`);
}

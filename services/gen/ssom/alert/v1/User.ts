// Original file: proto/ssom/alert/v1/directory_service.proto


/**
 * Somebody who can receive alerts.
 */
export interface User {
  /**
   * 1 to 128 characters, no control characters, no space at either end; never reused for somebody else. With AUTH_MODE=dev only
   * a user whose id is ASCII can call: metadata carries nothing else.
   */
  'userId'?: (string);
  /**
   * For people to read, at most 200 characters.
   */
  'displayName'?: (string);
  /**
   * 1 to 128 characters, for example OPERATION.
   */
  'department'?: (string);
  /**
   * At most 128 characters; empty if there is none. No two users share one; upper and lower case are equal.
   */
  'githubLogin'?: (string);
  /**
   * Only active users receive alerts.
   */
  'active'?: (boolean);
}

/**
 * Somebody who can receive alerts.
 */
export interface User__Output {
  /**
   * 1 to 128 characters, no control characters, no space at either end; never reused for somebody else. With AUTH_MODE=dev only
   * a user whose id is ASCII can call: metadata carries nothing else.
   */
  'userId': (string);
  /**
   * For people to read, at most 200 characters.
   */
  'displayName': (string);
  /**
   * 1 to 128 characters, for example OPERATION.
   */
  'department': (string);
  /**
   * At most 128 characters; empty if there is none. No two users share one; upper and lower case are equal.
   */
  'githubLogin': (string);
  /**
   * Only active users receive alerts.
   */
  'active': (boolean);
}

// Original file: proto/ssom/alert/v1/directory_service.proto


/**
 * Somebody who can receive alerts.
 */
export interface User {
  /**
   * 1 to 128 characters, printable ASCII without a space at either end; never reused for somebody else.
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
   * 1 to 128 characters, printable ASCII without a space at either end; never reused for somebody else.
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

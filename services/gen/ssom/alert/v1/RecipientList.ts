// Original file: proto/ssom/alert/v1/alert.proto

/**
 * By what a recipient was named.
 */
export const RecipientList = {
  /**
   * Not set.
   */
  RECIPIENT_LIST_UNSPECIFIED: 'RECIPIENT_LIST_UNSPECIFIED',
  /**
   * Recipients.user_ids.
   */
  RECIPIENT_LIST_USER_IDS: 'RECIPIENT_LIST_USER_IDS',
  /**
   * Recipients.departments.
   */
  RECIPIENT_LIST_DEPARTMENTS: 'RECIPIENT_LIST_DEPARTMENTS',
  /**
   * Recipients.github_logins.
   */
  RECIPIENT_LIST_GITHUB_LOGINS: 'RECIPIENT_LIST_GITHUB_LOGINS',
  /**
   * The department of a routing rule that matched.
   */
  RECIPIENT_LIST_ROUTING_RULES: 'RECIPIENT_LIST_ROUTING_RULES',
} as const;

/**
 * By what a recipient was named.
 */
export type RecipientList =
  /**
   * Not set.
   */
  | 'RECIPIENT_LIST_UNSPECIFIED'
  | 0
  /**
   * Recipients.user_ids.
   */
  | 'RECIPIENT_LIST_USER_IDS'
  | 1
  /**
   * Recipients.departments.
   */
  | 'RECIPIENT_LIST_DEPARTMENTS'
  | 2
  /**
   * Recipients.github_logins.
   */
  | 'RECIPIENT_LIST_GITHUB_LOGINS'
  | 3
  /**
   * The department of a routing rule that matched.
   */
  | 'RECIPIENT_LIST_ROUTING_RULES'
  | 4

/**
 * By what a recipient was named.
 */
export type RecipientList__Output = typeof RecipientList[keyof typeof RecipientList]

// Original file: proto/ssom/alert/v1/directory_service.proto

/**
 * What is wrong with a department.
 */
export const DirectoryWarningType = {
  /**
   * Not set.
   */
  DIRECTORY_WARNING_TYPE_UNSPECIFIED: 'DIRECTORY_WARNING_TYPE_UNSPECIFIED',
  /**
   * A routing rule names a department that nobody is in. Perhaps it is misspelt.
   */
  DIRECTORY_WARNING_TYPE_RULE_WITHOUT_USERS: 'DIRECTORY_WARNING_TYPE_RULE_WITHOUT_USERS',
  /**
   * A routing rule names a department without an active user.
   */
  DIRECTORY_WARNING_TYPE_RULE_WITHOUT_ACTIVE_USER: 'DIRECTORY_WARNING_TYPE_RULE_WITHOUT_ACTIVE_USER',
  /**
   * No rule names the department, and it has no active user: an alert to it would reach nobody.
   */
  DIRECTORY_WARNING_TYPE_DEPARTMENT_WITHOUT_ACTIVE_USER: 'DIRECTORY_WARNING_TYPE_DEPARTMENT_WITHOUT_ACTIVE_USER',
} as const;

/**
 * What is wrong with a department.
 */
export type DirectoryWarningType =
  /**
   * Not set.
   */
  | 'DIRECTORY_WARNING_TYPE_UNSPECIFIED'
  | 0
  /**
   * A routing rule names a department that nobody is in. Perhaps it is misspelt.
   */
  | 'DIRECTORY_WARNING_TYPE_RULE_WITHOUT_USERS'
  | 1
  /**
   * A routing rule names a department without an active user.
   */
  | 'DIRECTORY_WARNING_TYPE_RULE_WITHOUT_ACTIVE_USER'
  | 2
  /**
   * No rule names the department, and it has no active user: an alert to it would reach nobody.
   */
  | 'DIRECTORY_WARNING_TYPE_DEPARTMENT_WITHOUT_ACTIVE_USER'
  | 3

/**
 * What is wrong with a department.
 */
export type DirectoryWarningType__Output = typeof DirectoryWarningType[keyof typeof DirectoryWarningType]

// Original file: proto/ssom/alert/v1/alert.proto


/**
 * Names of those who shall receive an alert. The union of the three lists is meant; at least one entry in all.
 */
export interface Recipients {
  /**
   * Users by their user_id. An unknown or inactive one refuses the whole request.
   */
  'userIds'?: (string)[];
  /**
   * All active users of these departments, as of the moment when the alert is stored. An unknown one refuses the request.
   */
  'departments'?: (string)[];
  /**
   * Users by their GitHub login, upper and lower case being equal. An unknown one refuses the whole request.
   */
  'githubLogins'?: (string)[];
}

/**
 * Names of those who shall receive an alert. The union of the three lists is meant; at least one entry in all.
 */
export interface Recipients__Output {
  /**
   * Users by their user_id. An unknown or inactive one refuses the whole request.
   */
  'userIds': (string)[];
  /**
   * All active users of these departments, as of the moment when the alert is stored. An unknown one refuses the request.
   */
  'departments': (string)[];
  /**
   * Users by their GitHub login, upper and lower case being equal. An unknown one refuses the whole request.
   */
  'githubLogins': (string)[];
}

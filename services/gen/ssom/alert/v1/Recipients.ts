// Original file: proto/ssom/alert/v1/alert.proto


/**
 * Names of those who shall receive an alert. The union of the three lists is meant; at least one entry in all. Those who are known
 * and active get it, the others are named in the answer; the request is refused only if nobody is known. What can be nobody's name (it
 * is empty, malformed or longer than 128 characters) is one that is not known.
 */
export interface Recipients {
  /**
   * Users by their user_id. At most 10,000, together with github_logins.
   */
  'userIds'?: (string)[];
  /**
   * All active users of these departments, as of the moment when the alert is stored. At most 10,000.
   */
  'departments'?: (string)[];
  /**
   * Users by their GitHub login, upper and lower case being equal. At most 10,000, together with user_ids.
   */
  'githubLogins'?: (string)[];
}

/**
 * Names of those who shall receive an alert. The union of the three lists is meant; at least one entry in all. Those who are known
 * and active get it, the others are named in the answer; the request is refused only if nobody is known. What can be nobody's name (it
 * is empty, malformed or longer than 128 characters) is one that is not known.
 */
export interface Recipients__Output {
  /**
   * Users by their user_id. At most 10,000, together with github_logins.
   */
  'userIds': (string)[];
  /**
   * All active users of these departments, as of the moment when the alert is stored. At most 10,000.
   */
  'departments': (string)[];
  /**
   * Users by their GitHub login, upper and lower case being equal. At most 10,000, together with user_ids.
   */
  'githubLogins': (string)[];
}

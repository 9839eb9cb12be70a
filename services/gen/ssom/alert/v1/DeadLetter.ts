// Original file: proto/ssom/alert/v1/alert_service.proto


/**
 * A record about an alert that could not be handled, and lies among the dead letters.
 */
export interface DeadLetter {
  /**
   * Where it came from, as the command line has it: topic-partition@offset.
   */
  'name'?: (string);
  /**
   * Whose inbox lacks the alert for it. Empty: the record was about the alert as a whole.
   */
  'userId'?: (string);
  /**
   * Why it was given up.
   */
  'reason'?: (string);
  /**
   * It was given up for good.
   */
  'purged'?: (boolean);
  /**
   * Why its dead-letter topic does not take it, so that it waits in PostgreSQL. Empty: the topic has it.
   */
  'waitsFor'?: (string);
}

/**
 * A record about an alert that could not be handled, and lies among the dead letters.
 */
export interface DeadLetter__Output {
  /**
   * Where it came from, as the command line has it: topic-partition@offset.
   */
  'name': (string);
  /**
   * Whose inbox lacks the alert for it. Empty: the record was about the alert as a whole.
   */
  'userId': (string);
  /**
   * Why it was given up.
   */
  'reason': (string);
  /**
   * It was given up for good.
   */
  'purged': (boolean);
  /**
   * Why its dead-letter topic does not take it, so that it waits in PostgreSQL. Empty: the topic has it.
   */
  'waitsFor': (string);
}

// Original file: proto/ssom/alert/v1/alert_service.proto


/**
 * One thing that is wrong with a request.
 */
export interface FieldViolation {
  /**
   * The path of the field, for example labels["k"] or recipients.user_ids[3].
   */
  'field'?: (string);
  /**
   * What is wrong and what would be right.
   */
  'description'?: (string);
}

/**
 * One thing that is wrong with a request.
 */
export interface FieldViolation__Output {
  /**
   * The path of the field, for example labels["k"] or recipients.user_ids[3].
   */
  'field': (string);
  /**
   * What is wrong and what would be right.
   */
  'description': (string);
}

// Original file: proto/ssom/alert/v1/alert.proto

import type { RecipientList as _ssom_alert_v1_RecipientList, RecipientList__Output as _ssom_alert_v1_RecipientList__Output } from '../../../ssom/alert/v1/RecipientList.js';
import type { UnreachedReason as _ssom_alert_v1_UnreachedReason, UnreachedReason__Output as _ssom_alert_v1_UnreachedReason__Output } from '../../../ssom/alert/v1/UnreachedReason.js';

/**
 * A name under which an alert reaches nobody.
 */
export interface UnreachedRecipient {
  /**
   * By what it was named.
   */
  'list'?: (_ssom_alert_v1_RecipientList);
  /**
   * The name, as it was given.
   */
  'name'?: (string);
  /**
   * Why it reaches nobody.
   */
  'reason'?: (_ssom_alert_v1_UnreachedReason);
}

/**
 * A name under which an alert reaches nobody.
 */
export interface UnreachedRecipient__Output {
  /**
   * By what it was named.
   */
  'list': (_ssom_alert_v1_RecipientList__Output);
  /**
   * The name, as it was given.
   */
  'name': (string);
  /**
   * Why it reaches nobody.
   */
  'reason': (_ssom_alert_v1_UnreachedReason__Output);
}

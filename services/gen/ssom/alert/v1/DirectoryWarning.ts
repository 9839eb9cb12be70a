// Original file: proto/ssom/alert/v1/directory_service.proto

import type { DirectoryWarningType as _ssom_alert_v1_DirectoryWarningType, DirectoryWarningType__Output as _ssom_alert_v1_DirectoryWarningType__Output } from '../../../ssom/alert/v1/DirectoryWarningType.js';

/**
 * A department that alerts cannot reach.
 */
export interface DirectoryWarning {
  /**
   * What is wrong with it.
   */
  'type'?: (_ssom_alert_v1_DirectoryWarningType);
  /**
   * The department.
   */
  'department'?: (string);
}

/**
 * A department that alerts cannot reach.
 */
export interface DirectoryWarning__Output {
  /**
   * What is wrong with it.
   */
  'type': (_ssom_alert_v1_DirectoryWarningType__Output);
  /**
   * The department.
   */
  'department': (string);
}

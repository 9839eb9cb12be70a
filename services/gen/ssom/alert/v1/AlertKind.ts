// Original file: proto/ssom/alert/v1/alert.proto

/**
 * What raised an alert.
 */
export const AlertKind = {
  /**
   * Not set. Refused in a request; as a filter it is refused too.
   */
  ALERT_KIND_UNSPECIFIED: 'ALERT_KIND_UNSPECIFIED',
  /**
   * A monitor of OpenSearch (log patterns, error rates).
   */
  ALERT_KIND_OPENSEARCH: 'ALERT_KIND_OPENSEARCH',
  /**
   * A Grafana alert rule.
   */
  ALERT_KIND_GRAFANA: 'ALERT_KIND_GRAFANA',
  /**
   * An issue that somebody is assigned to; usually sent to its assignees.
   */
  ALERT_KIND_ISSUE: 'ALERT_KIND_ISSUE',
  /**
   * A Jenkins build.
   */
  ALERT_KIND_JENKINS: 'ALERT_KIND_JENKINS',
  /**
   * An Argo CD application's sync or health.
   */
  ALERT_KIND_ARGOCD: 'ALERT_KIND_ARGOCD',
  /**
   * A deployment that started, finished or failed.
   */
  ALERT_KIND_DEPLOYMENT: 'ALERT_KIND_DEPLOYMENT',
  /**
   * Anything else.
   */
  ALERT_KIND_OTHER: 'ALERT_KIND_OTHER',
} as const;

/**
 * What raised an alert.
 */
export type AlertKind =
  /**
   * Not set. Refused in a request; as a filter it is refused too.
   */
  | 'ALERT_KIND_UNSPECIFIED'
  | 0
  /**
   * A monitor of OpenSearch (log patterns, error rates).
   */
  | 'ALERT_KIND_OPENSEARCH'
  | 1
  /**
   * A Grafana alert rule.
   */
  | 'ALERT_KIND_GRAFANA'
  | 2
  /**
   * An issue that somebody is assigned to; usually sent to its assignees.
   */
  | 'ALERT_KIND_ISSUE'
  | 3
  /**
   * A Jenkins build.
   */
  | 'ALERT_KIND_JENKINS'
  | 4
  /**
   * An Argo CD application's sync or health.
   */
  | 'ALERT_KIND_ARGOCD'
  | 5
  /**
   * A deployment that started, finished or failed.
   */
  | 'ALERT_KIND_DEPLOYMENT'
  | 6
  /**
   * Anything else.
   */
  | 'ALERT_KIND_OTHER'
  | 7

/**
 * What raised an alert.
 */
export type AlertKind__Output = typeof AlertKind[keyof typeof AlertKind]

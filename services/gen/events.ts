/** The records in Kafka, as whoever reads the newest versions in schemas/ has them. Made by `npm run generate`. */

/** A symbol that a reader does not know is OTHER to it. */
export type AlertKind = 'OTHER' | 'OPENSEARCH' | 'GRAFANA' | 'ISSUE' | 'JENKINS' | 'ARGOCD' | 'DEPLOYMENT';

/** A symbol that a reader does not know is INFO to it. */
export type AlertLevel = 'INFO' | 'WARNING' | 'ERROR' | 'CRITICAL';

export interface NamedRecipients {
  /** Users by their id. */
  readonly userIds: readonly string[];
  /** Departments, whose active users are meant. */
  readonly departments: readonly string[];
}

/** An alert was stored: the whole alert, and its named recipients if they are few. Key: alertId. From schemas/alert-created-topic-value/v5.avsc. */
export interface AlertCreatedEvent {
  /** The alert's number. */
  readonly alertId: number;
  /** What kind of tool told of it; a kind that a reader does not know is OTHER. */
  readonly alertKind: AlertKind;
  /** The application that it is about, as its source names it. */
  readonly appName: string;
  /** How urgent it is; INFO: of an older writer, not known. Since v2; "INFO" in records of before. */
  readonly level: AlertLevel;
  /** One line for people; empty: of an older writer, look the alert up. Since v2; "" in records of before. */
  readonly title: string;
  /** The whole text; empty: there is none, or of an older writer. Since v2; "" in records of before. */
  readonly message: string;
  /** Its id at its source; empty: none was given. Since v2; "" in records of before. */
  readonly sourceId: string;
  /** What its source says of it, as pairs. Since v2; {} in records of before. */
  readonly labels: Readonly<Record<string, string>>;
  /** When it happened, by its source. Milliseconds since 1970; 0: not known. Since v2; 0 in records of before. */
  readonly occurredAt: number;
  /** When it was stored, by PostgreSQL's clock. Milliseconds since 1970; 0: not known. Since v2; 0 in records of before. */
  readonly createdAt: number;
  /** The version of users and rules at which the alert was stored; 0: not known, look the alert up. Since v2; 0 in records of before. */
  readonly directoryVersion: number;
  /** True if the caller named the recipients. False: by the routing rules. Since v2; false in records of before. */
  readonly recipientsNamed: boolean;
  /** Whom the caller named, logins already resolved. Null: nobody, or too many for an event: look them up. Since v3; null in records of before. */
  readonly namedRecipients: NamedRecipients | null;
  /** The epoch of the database that this is about: which life of it, since a backup was restored; 0: not known. Since v4; 0 in records of before. */
  readonly epoch: number;
}

/** A symbol that a reader does not know is CREATED to it. */
export type InboxChangeType = 'CREATED' | 'READ' | 'UNREAD' | 'DELETED';

export interface InboxChange {
  /** The number of this change in the user's sequence. */
  readonly sequence: number;
  /** The number of the alert whose entry changed. */
  readonly alertId: number;
  /** What happened last to the entry. */
  readonly type: InboxChangeType;
  /** Whether the entry is read now. */
  readonly isRead: boolean;
  /** The trace that the change belongs to, as W3C Trace Context has it; empty: none. */
  readonly traceparent: string;
}

/** Rows of a user's inbox changed. Describes the rows as they are, never the event that led here. Key: userId. From schemas/inbox-change-topic-value/v3.avsc. */
export interface InboxChangedEvent {
  /** The user whose inbox it is, also the record's key. */
  readonly userId: string;
  /** The user's last number when this was written. */
  readonly lastSequence: number;
  /** Of the whole inbox, at lastSequence. */
  readonly unreadCount: number;
  /** By sequence, ascending. Fewer than up to lastSequence, or none after a bulk change: read the rest from PostgreSQL. */
  readonly changes: readonly InboxChange[];
  /** The epoch of the database that this is about: which life of it, since a backup was restored; 0: not known. Since v2; 0 in records of before. */
  readonly epoch: number;
}

/** An alert is for this user. Key: userId. From schemas/user-alert-topic-value/v3.avsc. */
export interface UserAlertEvent {
  /** The alert's number. */
  readonly alertId: number;
  /** The user who gets it, also the record's key. */
  readonly userId: string;
  /** The epoch of the database that this is about: which life of it, since a backup was restored; 0: not known. Since v2; 0 in records of before. */
  readonly epoch: number;
}

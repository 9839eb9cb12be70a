export const ALERT_KINDS = ['OPENSEARCH', 'GRAFANA', 'ISSUE', 'JENKINS', 'ARGOCD', 'DEPLOYMENT', 'OTHER'] as const;
export type AlertKind = (typeof ALERT_KINDS)[number];

/** By urgency, ascending; a level's rank is its index + 1, as in the protobuf enum and the database. */
export const ALERT_LEVELS = ['INFO', 'WARNING', 'ERROR', 'CRITICAL'] as const;
export type AlertLevel = (typeof ALERT_LEVELS)[number];

export function levelRank(level: AlertLevel): number {
  return ALERT_LEVELS.indexOf(level) + 1;
}

export function levelOfRank(rank: number): AlertLevel {
  return ALERT_LEVELS[rank - 1] ?? 'INFO';
}

/** What happened last to a row of an inbox; the numbers are stored and sent. */
export const CHANGE_TYPES = ['CREATED', 'READ', 'UNREAD', 'DELETED'] as const;
export type ChangeType = (typeof CHANGE_TYPES)[number];

export function changeRank(type: ChangeType): number {
  return CHANGE_TYPES.indexOf(type) + 1;
}

export function changeOfRank(rank: number): ChangeType {
  return CHANGE_TYPES[rank - 1] ?? 'CREATED';
}

/** An entry of an inbox as its last change left it. */
export interface EntryChange {
  readonly alertId: number;
  readonly sequence: number;
  readonly change: ChangeType;
  readonly isRead: boolean;
}

/** What a change made of one user's inbox, as it is under the inbox's lock. */
export interface InboxUpdate {
  readonly userId: string;
  readonly lastSequence: number;
  readonly unreadCount: number;
  /** The database's. */
  readonly epoch: number;
  /** The entries that it is about, changed or not, by sequence. */
  readonly changes: readonly EntryChange[];
}

/**
 * Who a caller wants to reach. Lists hold each name once, as it was given; of logins upper and lower case are equal.
 */
export interface NamedRecipients {
  readonly userIds: readonly string[];
  readonly departments: readonly string[];
  readonly githubLogins: readonly string[];
}

/** How many names there are. */
export function countNames({ userIds, departments, githubLogins }: NamedRecipients): number {
  return userIds.length + departments.length + githubLogins.length;
}

/** How many characters they have, in UTF-16 units. */
export function namesLength({ userIds, departments, githubLogins }: NamedRecipients): number {
  return [userIds, departments, githubLogins].reduce((sum, names) => sum + textsLength(names), 0);
}

function textsLength(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + text.length, 0);
}

/** What a caller says of an alert. Times are milliseconds since 1970. */
export interface AlertContent {
  readonly kind: AlertKind;
  readonly appName: string;
  readonly level: AlertLevel;
  readonly title: string;
  readonly message: string;
  readonly sourceId: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Undefined: when it is stored. */
  readonly occurredAt: number | undefined;
}

export type AdjustmentType = 'SHORTENED' | 'CLEANED' | 'REPLACED';

/** A field that is stored otherwise than it was given. */
export interface Adjustment {
  /** Its path, for example title or labels["k"]. */
  readonly field: string;
  readonly type: AdjustmentType;
  /** In characters, of labels in pairs; 0 for a time. */
  readonly originalLength: number;
  /** A time as text; empty for other fields. */
  readonly original: string;
}

/** By what a recipient was named; the order is that in which they are told. */
export const RECIPIENT_LISTS = ['USER_IDS', 'DEPARTMENTS', 'GITHUB_LOGINS', 'ROUTING_RULES'] as const;
export type RecipientList = (typeof RECIPIENT_LISTS)[number];
export type UnreachedReason = 'UNKNOWN' | 'INACTIVE' | 'NO_ACTIVE_USER';

/** A name under which an alert reaches nobody. */
export interface UnreachedRecipient {
  readonly list: RecipientList;
  /** As it was given. */
  readonly name: string;
  readonly reason: UnreachedReason;
}

/** Names under which an alert reaches nobody: the first ones, and how many there are. */
export interface Unreached {
  readonly names: readonly UnreachedRecipient[];
  readonly count: number;
}

/** A valid request to store an alert. */
export interface NewAlert extends AlertContent {
  readonly caller: string;
  /** Empty: no deduplication. */
  readonly requestId: string;
  /** Of the normalised request as it was given; empty without a requestId. */
  readonly requestHash: Buffer;
  /** Undefined: by the routing rules. */
  readonly recipients: NamedRecipients | undefined;
  readonly traceparent: string | undefined;
  /** What is stored otherwise than it was given. */
  readonly adjustments: readonly Adjustment[];
}

/** An alert as it is stored; it never changes. */
export interface StoredAlert extends AlertContent {
  readonly alertId: number;
  readonly occurredAt: number;
  readonly createdAt: number;
}

import type { AlertKind, AlertLevel, ChangeType } from '../domain/alert.js';
import type { ResolvedRecipients } from '../domain/routing.js';

/*
 * The epoch of each is that of the database which its numbers are of (store/state.ts); 0 or absent: not known, as from
 * an older writer. Numbers of another epoch may mean other alerts and other changes: whoever reads them sets the record
 * aside.
 */

/** An alert was stored. Times are milliseconds since 1970; what an older writer did not know is 0 or empty. */
export interface AlertCreatedEvent {
  readonly alertId: number;
  readonly alertKind: AlertKind;
  readonly appName: string;
  readonly level: AlertLevel;
  readonly title: string;
  readonly message: string;
  readonly sourceId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly occurredAt: number;
  readonly createdAt: number;
  /** 0: not known. */
  readonly directoryVersion: number;
  readonly recipientsNamed: boolean;
  /** Null: nobody was named, or so many that they are in PostgreSQL alone. */
  readonly namedRecipients: ResolvedRecipients | null;
  readonly epoch?: number;
}

/** An alert is for this user. */
export interface UserAlertEvent {
  readonly alertId: number;
  readonly userId: string;
  readonly epoch?: number;
}

/** Rows of a user's inbox as they are after a change. */
export interface InboxChangedEvent {
  readonly userId: string;
  readonly lastSequence: number;
  readonly unreadCount: number;
  /** By sequence; fewer than up to lastSequence, or none after a bulk change. */
  readonly changes: readonly {
    readonly sequence: number;
    readonly alertId: number;
    readonly type: ChangeType;
    readonly isRead: boolean;
    readonly traceparent: string;
  }[];
  readonly epoch?: number;
}

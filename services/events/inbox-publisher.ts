import type { InboxChangedEvent } from './event-types.js';
import { inboxChangedRecord } from './records.js';
import type { Events } from './events.js';
import type { ChangeType } from '../domain/alert.js';
import type { OutgoingRecord } from '../lib/kafka/producer.js';

/** A user's inbox as a change left it; the store's functions return it. */
export interface ChangedInbox {
  readonly userId: string;
  readonly lastSequence: number;
  readonly unreadCount: number;
  /** The database's, as of the change. */
  readonly epoch?: number;
  readonly rows: readonly { alertId: number; sequence: number; change: ChangeType; isRead: boolean }[];
}

/** One event carries at most this many changes; more are left to be read from PostgreSQL. */
const CHANGES_MAX = 1000;

/**
 * One record a user: the rows as they are.
 * @param traceparentOf the trace that a row's change belongs to
 */
export function inboxChangeRecords(
  events: Events,
  inboxes: readonly ChangedInbox[],
  traceparentOf: (alertId: number, userId: string) => string | undefined,
): OutgoingRecord[] {
  return inboxes.map(({ userId, lastSequence, unreadCount, epoch = 0, rows }) => {
    const event: InboxChangedEvent = {
      userId,
      lastSequence,
      unreadCount,
      epoch,
      changes: rows.slice(0, CHANGES_MAX).map(({ alertId, sequence, change, isRead }) => ({
        alertId,
        sequence,
        type: change,
        isRead,
        traceparent: traceparentOf(alertId, userId) ?? '',
      })),
    };
    return inboxChangedRecord(events, event);
  });
}

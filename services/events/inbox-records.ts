import type { InboxUpdate } from '../domain/alert.js';
import type { OutgoingRecord } from '../lib/kafka/producer.js';
import type { InboxChangedEvent } from './event-types.js';
import type { Events } from './events.js';
import { inboxChangedRecord } from './records.js';

/** One event carries at most this many changes; more are left to be read from PostgreSQL. */
const CHANGES_MAX = 1000;

/**
 * One record a user: the entries as they are.
 * @param traceparentOf the trace that an entry's change belongs to
 */
export function inboxChangeRecords(
  events: Events,
  inboxes: readonly InboxUpdate[],
  traceparentOf: (alertId: number, userId: string) => string | undefined,
): OutgoingRecord[] {
  return inboxes.map(({ userId, lastSequence, unreadCount, epoch, changes }) => {
    const event: InboxChangedEvent = {
      userId,
      lastSequence,
      unreadCount,
      epoch,
      changes: changes.slice(0, CHANGES_MAX).map(({ alertId, sequence, change, isRead }) => ({
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

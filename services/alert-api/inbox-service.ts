import { readFilter } from '../api/filter.js';
import type { Handlers } from '../api/handlers.js';
import { alertBytes, optionalTimestamp, toAlertMessage, toTimestamp } from '../api/messages.js';
import { readPage, readPageSize, readPageToken } from '../api/paging.js';
import { type Bound, BOUNDS, checkCount, Violations } from '../api/violations.js';
import type { InboxUpdate } from '../domain/alert.js';
import type { AuditAction } from '../domain/audit.js';
import { inboxChangeRecords } from '../events/inbox-records.js';
import type { InboxServiceDefinition, MarkReadResponse } from '../gen/types.js';
import { GatheredLog } from '../lib/gathered-log.js';
import type { Logger } from '../lib/logging.js';
import { startSend } from '../lib/telemetry/kafka-spans.js';
import type { Metrics } from '../lib/telemetry/metrics.js';
import { failSpan, isSampled, traceparentOf, type Tracing } from '../lib/telemetry/tracing.js';
import type { AdminReads } from '../runtime/admin-reads.js';
import { inboxWrites } from '../runtime/inbox-writes.js';
import type { Publishing } from '../runtime/runtime.js';
import { deleteFromInbox, inboxPosition, listInbox, markRead, markUnread } from '../store/inboxes.js';
import { activeOwner } from './active-user.js';
import { adminAccount } from './admin-account.js';
import { MarkAllReads } from './mark-all-read.js';

export interface InboxServiceDeps {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly tracing: Tracing;
  /** Undefined while Kafka has not been reached: the gateways then find the change in PostgreSQL within seconds. */
  readonly publishing: () => Publishing | undefined;
  readonly reads: AdminReads;
}

type Mutation = Handlers<InboxServiceDefinition>['MarkRead'];

/** The handlers of ssom.alert.v1.InboxService. */
export function inboxService({
  metrics,
  logger,
  tracing,
  publishing,
  reads,
}: InboxServiceDeps): Handlers<InboxServiceDefinition> {
  const writes = inboxWrites(metrics);
  const unpublished = new GatheredLog(
    logger,
    'an inbox change could not be published; streams find it in PostgreSQL',
    'inboxes',
  );

  /** The change is in PostgreSQL; publishing it makes the streams fast, and they resync without it. */
  function announce(state: InboxUpdate, isBulk: boolean, traceparent: string | undefined): MarkReadResponse {
    const target = publishing();
    if (state.changes.length > 0 && target !== undefined) {
      const { inboxChange } = target.events.topics;
      const span = isSampled(traceparent) ? startSend(tracing, inboxChange, { parent: traceparent }) : undefined;
      const parent = traceparentOf(span);
      const records = inboxChangeRecords(target.events, [isBulk ? { ...state, changes: [] } : state], () => parent);
      target.producer.publish(records).then(
        () => span?.end(),
        (error: Error) => {
          failSpan(span, error);
          unpublished.warn(1, () => ({ err: error }));
        },
      );
    }
    return { changed: state.changes.length, unreadCount: state.unreadCount };
  }

  const markAllReads = new MarkAllReads((page, call) => {
    writes.READ(page.changes.length);
    announce(page, true, call.traceparent);
  });

  function mutation(
    change: typeof markRead,
    action: AuditAction,
    written: (rows: number) => void,
    bound: Bound,
  ): Mutation {
    return async ({ userId, alertIds }, call) => {
      const database = call.database.bulk;
      const owner = await activeOwner(database, call.identity, userId);
      checkCount('alert_ids', alertIds, bound);
      const state = await change(database, owner, alertIds, adminAccount(call, action, owner));
      written(state.changes.length);
      // The answer still says how many are unread.
      if (state.changes.length === 0) await reads.note(call, 'inbox.read', owner);
      return announce(state, false, call.traceparent);
    };
  }

  return {
    async ListInbox(request, call) {
      const database = call.database.bulk;
      const userId = await activeOwner(database, call.identity, request.userId);
      const limit = readPageSize(request.pageSize);
      const from = readPageToken(request.pageToken, 'number') ?? Number.MAX_SAFE_INTEGER;
      const violations = new Violations();
      const filter = readFilter(violations, request.kinds, request.minimumLevel, BOUNDS['ListInboxRequest.kinds']);
      violations.throwIfAny();
      const query = { ...filter, userId, unreadOnly: request.unreadOnly };
      await reads.note(call, 'inbox.read', userId);
      const { unreadCount } = await inboxPosition(database, userId);
      if (request.unreadOnly && unreadCount === 0) return { entries: [], nextPageToken: '', unreadCount };
      const { rows, nextPageToken } = await readPage({
        limit,
        from,
        read: (before, count) => listInbox(database, { ...query, before, limit: count }),
        keyOf: ({ alert }) => alert.alertId,
        bytesOf: ({ alert }) => alertBytes(alert),
      });
      return {
        entries: rows.map(({ alert, isRead, readAt, sequence, deliveredAt }) => ({
          alert: toAlertMessage(alert),
          isRead,
          readAt: optionalTimestamp(readAt),
          sequence,
          deliveredAt: toTimestamp(deliveredAt),
        })),
        nextPageToken,
        unreadCount,
      };
    },

    MarkRead: mutation(markRead, 'inbox.read-marked', writes.READ, BOUNDS['MarkReadRequest.alert_ids']),
    MarkUnread: mutation(markUnread, 'inbox.unread-marked', writes.UNREAD, BOUNDS['MarkUnreadRequest.alert_ids']),
    DeleteFromInbox: mutation(
      deleteFromInbox,
      'inbox.deleted',
      writes.DELETED,
      BOUNDS['DeleteFromInboxRequest.alert_ids'],
    ),

    async MarkAllRead({ userId }, call) {
      const owner = await activeOwner(call.database, call.identity, userId);
      const marked = await markAllReads.run(owner, call);
      if (marked.changed === 0) await reads.note(call, 'inbox.read', owner);
      return marked;
    },

    async GetUnreadCount({ userId }, call) {
      const { identity, database } = call;
      const owner = await activeOwner(database, identity, userId);
      await reads.note(call, 'inbox.read', owner);
      const { unreadCount } = await inboxPosition(database, owner);
      return { unreadCount };
    },
  };
}

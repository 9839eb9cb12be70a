import { status } from '@grpc/grpc-js';
import { readFilter } from '../api/filter.js';
import type { Handlers } from '../api/handlers.js';
import { alertBytes, toAlertMessage } from '../api/messages.js';
import { readPage, readPageSize, readPageToken } from '../api/paging.js';
import { hasScope } from '../api/scopes.js';
import { BOUNDS, checkCount, Violations } from '../api/violations.js';
import { countNames, namesLength, type NewAlert } from '../domain/alert.js';
import { ALERT_ATTR } from '../domain/alert-attributes.js';
import { AlertError, invalidArgument } from '../domain/errors.js';
import type {
  AlertServiceDefinition,
  BatchCreateAlertsResult,
  BatchItemError,
  CreateAlertRequest__Output,
  CreateAlertResponse,
} from '../gen/types.js';
import type { CallContext } from '../lib/grpc/call-context.js';
import { callerKey, callerName, type Identity } from '../lib/grpc/identity.js';
import { sent } from '../lib/grpc/status.js';
import { type Metrics, statusName } from '../lib/telemetry/metrics.js';
import type { Attributes, Span } from '../lib/telemetry/tracing.js';
import type { EventLoopTurns } from '../lib/turns.js';
import { findRoutableAlerts, listAlerts } from '../store/alerts.js';
import { isInInbox } from '../store/inboxes.js';
import type { RecipientResolver, StaffedRulesCache } from '../store/recipient-resolver.js';
import { readClosedTo } from '../store/state.js';
import { progressOf } from './alert-progress.js';
import { readCreateAlertRequest } from './create-alert-request.js';
import { createAnswer } from './create-answer.js';
import type { CreateBatcher } from './create-batcher.js';
import type { CreateResult } from './create-lane.js';

/**
 * Requests that are larger are read one at a time, and batches so many items at a time, with pauses: 10,000 names take
 * 5 ms.
 */
const AT_ONCE = { names: 500, characters: 16_384, items: 50 };

export interface AlertServiceDeps {
  readonly batcher: CreateBatcher;
  readonly computations: EventLoopTurns;
  readonly resolver: RecipientResolver;
  readonly rules: StaffedRulesCache;
  readonly metrics: Metrics;
}

/** The handlers of ssom.alert.v1.AlertService. */
export function alertService({
  batcher,
  computations,
  resolver,
  rules,
  metrics,
}: AlertServiceDeps): Handlers<AlertServiceDefinition> {
  const items = metrics.counter(
    'ssom.create.batch_items',
    'Items of BatchCreateAlerts, by the status of each.',
    // Those of which an alarm asks the rate: the first batch that is refused has hundreds.
    [status.OK, status.UNAVAILABLE, status.RESOURCE_EXHAUSTED, status.INTERNAL].map(itemStatus),
  );

  /** A batch whose items were all refused is a call that was OK. */
  function countItems(results: readonly BatchCreateAlertsResult[]): void {
    const counts = new Map<number, number>();
    for (const { error } of results) {
      const code = error?.code ?? status.OK;
      counts.set(code, (counts.get(code) ?? 0) + 1);
    }
    for (const [code, count] of counts) items.add(count, itemStatus(code));
  }

  /** What waits for its turn has its place in the queue already, so that one bound holds for both. */
  async function readInTurn(
    request: CreateAlertRequest__Output,
    identity: Identity,
    signal: AbortSignal,
    read: () => NewAlert,
  ): Promise<NewAlert> {
    const leave = batcher.room.enter(callerName(identity), charactersOf(request));
    try {
      return await computations.run(callerKey(identity), signal, read);
    } finally {
      leave();
    }
  }

  async function create(
    request: CreateAlertRequest__Output,
    { identity, traceparent, span, signal }: CallContext,
  ): Promise<CreateAlertResponse> {
    const read = () => {
      signal.throwIfAborted();
      return readCreateAlertRequest(request, callerName(identity), traceparent);
    };
    const alert = isLarge(request) ? await readInTurn(request, identity, signal, read) : read();
    const result = await batcher.create(alert, signal);
    if (span?.isRecording() === true) noteAlert(span, result);
    return createAnswer(alert, result, rules);
  }

  return {
    async CreateAlert(request, call) {
      return create(request, call);
    },

    async BatchCreateAlerts({ requests }, call) {
      checkCount('requests', requests, BOUNDS['BatchCreateAlertsRequest.requests']);
      // What fails together has one error, which is told and logged once.
      const told = new Map<Error, BatchCreateAlertsResult>();
      const refuse = (error: Error) => {
        const result = told.get(error) ?? { error: toItemError(call.translate(error)) };
        told.set(error, result);
        return result;
      };
      const outcomes: Promise<BatchCreateAlertsResult>[] = [];
      for (let from = 0; from < requests.length; from += AT_ONCE.items) {
        const begin = () =>
          requests
            .slice(from, from + AT_ONCE.items)
            .map((request) =>
              create(request, call).then((response): BatchCreateAlertsResult => ({ response }), refuse),
            );
        outcomes.push(
          ...(requests.length <= AT_ONCE.items
            ? begin()
            : await computations.run(callerKey(call.identity), call.signal, begin)),
        );
      }
      const results = await Promise.all(outcomes);
      countItems(results);
      return { results };
    },

    async GetAlert({ alertId }, call) {
      const { identity } = call;
      if (!Number.isSafeInteger(alertId) || alertId < 1)
        throw invalidArgument([{ field: 'alert_id', description: 'must be a number that CreateAlert gave' }]);
      const { database } = call;
      const mayReadAll = hasScope(identity, 'alerts:read');
      const visible =
        mayReadAll || (identity.kind === 'user' && (await isInInbox(database, identity.subject, alertId)));
      const [found] = visible ? await findRoutableAlerts(database, [alertId]) : [];
      if (found === undefined) {
        const removed = mayReadAll && alertId <= (await readClosedTo(database));
        const why = removed ? ' any more: it was older than ALERT_RETENTION_DAYS' : '';
        throw new AlertError('NOT_FOUND', 'ALERT_NOT_FOUND', `there is no alert ${alertId}${why}`);
      }
      const progress = mayReadAll ? await progressOf(database, resolver, alertId) : null;
      return { alert: toAlertMessage(found.alert), progress };
    },

    async ListAlerts(request, call) {
      const database = call.database.bulk;
      const limit = readPageSize(request.pageSize);
      const from = readPageToken(request.pageToken, 'number') ?? Number.MAX_SAFE_INTEGER;
      const violations = new Violations();
      const filter = readFilter(violations, request.kinds, request.minimumLevel, BOUNDS['ListAlertsRequest.kinds']);
      violations.throwIfAny();
      const { rows, nextPageToken } = await readPage({
        limit,
        from,
        read: (before, count) => listAlerts(database, { ...filter, appName: request.appName, before, limit: count }),
        keyOf: ({ alertId }) => alertId,
        bytesOf: alertBytes,
      });
      return { alerts: rows.map(toAlertMessage), nextPageToken };
    },
  };
}

function isLarge({ message, recipients }: CreateAlertRequest__Output): boolean {
  return message.length > AT_ONCE.characters || (recipients !== null && countNames(recipients) > AT_ONCE.names);
}

/** About how many characters a request holds in memory. */
function charactersOf({ message, recipients }: CreateAlertRequest__Output): number {
  return message.length + (recipients === null ? 0 : namesLength(recipients));
}

/** Of a batch the last one is seen; each has its commit and what follows. */
function noteAlert(span: Span, { alert, replayed }: CreateResult): void {
  span.setAttribute(ALERT_ATTR.id, alert.alertId);
  span.setAttribute(ALERT_ATTR.kind, alert.kind);
  if (replayed) span.setAttribute(ALERT_ATTR.replayed, true);
}

/** As the histogram of calls names it. */
function itemStatus(code: number): Attributes {
  return { 'rpc.response.status_code': statusName(code) };
}

function toItemError(error: AlertError): BatchItemError {
  const { code, message, reason, violations, retryAfterMs = 0 } = sent(error);
  return { code, message, reason, fieldViolations: violations, retryAfterMs };
}

import { optionalTimestamp } from '../api/messages.js';
import type { AlertProgress, PushRecord as PushRecordMessage } from '../gen/types.js';
import type { Database } from '../lib/postgres.js';
import { isSampled } from '../lib/telemetry/traceparent.js';
import { unreachedOf } from '../store/alerts.js';
import { arrivalsOf, countUnplanned } from '../store/arrivals.js';
import { deadLettersOf } from '../store/dead-letters.js';
import { findProgress } from '../store/progress.js';
import { pushesOf, type PushRecord } from '../store/push-records.js';
import type { PushState } from '../store/pushes.js';
import type { RecipientResolver } from '../store/recipient-resolver.js';
import { unreachedMessage } from './create-answer.js';

const PUSHES_MAX = 100;
const MISSING_MAX = 20;
const DEAD_LETTERS_MAX = 20;

/** How far an alert has come, and what holds it up; null if there is no such alert. */
export async function progressOf(
  database: Database,
  resolver: RecipientResolver,
  alertId: number,
): Promise<AlertProgress | null> {
  const progress = await findProgress(database, alertId);
  if (progress === undefined) return null;
  const recipients = (await resolver.recipientsOf([alertId], database)).get(alertId) ?? [];
  const arrivals = await arrivalsOf(database, alertId, recipients, MISSING_MAX);
  const deadLetters = await deadLettersOf(database, alertId, DEAD_LETTERS_MAX);
  const pushes = await pushesOf(database, alertId, PUSHES_MAX);
  return {
    publishedAt: optionalTimestamp(progress.publishedAt),
    fannedOutAt: optionalTimestamp(progress.fannedOutAt),
    completedAt: optionalTimestamp(progress.completedAt),
    recipients: recipients.length,
    delivered: arrivals.delivered,
    read: arrivals.read,
    firstDeliveredAt: optionalTimestamp(arrivals.firstDeliveredAt),
    lastDeliveredAt: optionalTimestamp(arrivals.lastDeliveredAt),
    lastReadAt: optionalTimestamp(arrivals.lastReadAt),
    // Retention removes entries of what it has closed: they came, and went.
    missingUserIds: progress.closed ? [] : [...arrivals.missing],
    deadLetters: deadLetters.letters,
    deadLetterCount: deadLetters.count,
    deadLettered: deadLetters.pending > 0 && progress.completedAt === null && !progress.closed,
    nextCheckAt: optionalTimestamp(progress.nextCheckAt),
    checks: progress.checks,
    closed: progress.closed,
    traceId: progress.traceparent?.split('-')[1] ?? '',
    traceSampled: isSampled(progress.traceparent ?? undefined),
    pushCounts: [...pushes.counts].map(([state, count]) => ({ state: toPushState(state), count })),
    firstPushSentAt: optionalTimestamp(pushes.firstSentAt),
    lastPushSentAt: optionalTimestamp(pushes.lastSentAt),
    pushes: pushes.records.map(toPushMessage),
    unplannedPushes: await countUnplanned(database, alertId, recipients),
    ...unreachedMessage(await unreachedOf(database, alertId)),
  };
}

function toPushState(state: PushState): `PUSH_STATE_${Uppercase<PushState>}` {
  return `PUSH_STATE_${state.toUpperCase() as Uppercase<PushState>}`;
}

function toPushMessage(push: PushRecord): PushRecordMessage {
  const { userId, deviceId, attempts, messageName, error } = push;
  return {
    userId,
    deviceId,
    state: toPushState(push.state),
    attempts,
    sentAt: optionalTimestamp(push.sentAt),
    dueAt: optionalTimestamp(push.dueAt),
    fcmMessageName: messageName,
    error,
  };
}

import { manyLines } from '../../domain/text.js';
import type {
  Alert__Output,
  AlertProgress__Output,
  InboxChange__Output,
  InboxEntry__Output,
  StreamAlertsResponse__Output,
  Timestamp__Output,
} from '../../gen/types.js';
import { oneLine, type Paint, type Style } from './text.js';

const LEVEL_STYLES: Readonly<Record<string, Style>> = {
  INFO: 'green',
  WARNING: 'yellow',
  ERROR: 'red',
  CRITICAL: 'alarm',
};
/** CRITICAL and OPENSEARCH, DEPLOYMENT are the longest. */
const LEVEL_WIDTH = 8;
const KIND_WIDTH = 10;

function short(name: string, prefix: string): string {
  return oneLine(name.startsWith(prefix) ? name.slice(prefix.length) : name);
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}

function toDate({ seconds, nanos }: Timestamp__Output): Date {
  return new Date(seconds * 1000 + Math.floor(nanos / 1e6));
}

/** HH:MM:SS by the local clock. */
export function clock(time: Timestamp__Output | null): string {
  if (time === null) return '--:--:--';
  const date = toDate(time);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** YYYY-MM-DD HH:MM:SS by the local clock. */
export function dateAndClock(time: Timestamp__Output | null): string {
  if (time === null) return '-';
  const date = toDate(time);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(time)}`;
}

function columns(alert: Alert__Output, paint: Paint): string {
  const level = short(alert.level, 'ALERT_LEVEL_');
  const style = LEVEL_STYLES[level];
  // Padding outside of the colours, or a background would be painted across it.
  const painted = style === undefined ? level : paint(style, level);
  const kind = short(alert.kind, 'ALERT_KIND_').padEnd(KIND_WIDTH);
  return `${painted}${' '.repeat(Math.max(0, LEVEL_WIDTH - level.length))}  ${kind}  ${oneLine(alert.appName)}  ${oneLine(alert.title)}`;
}

const plain: Paint = (_style, text) => text;

/** A change of an inbox on one line. Only a new alert is bright; what was done to old ones is dim. */
export function changeLine({ type, alert }: InboxChange__Output, paint: Paint): string {
  const what = short(type, 'INBOX_CHANGE_TYPE_').toLowerCase();
  const id = `#${alert?.alertId ?? '?'}`;
  if (alert === null || type === 'INBOX_CHANGE_TYPE_DELETED') {
    return paint('dim', `${clock(null)}  ${''.padEnd(LEVEL_WIDTH)}  ${''.padEnd(KIND_WIDTH)}  ${id} [${what}]`);
  }
  const time = clock(alert.occurredAt);
  if (type === 'INBOX_CHANGE_TYPE_CREATED') return `${time}  ${columns(alert, paint)}  ${paint('dim', id)}`;
  return paint('dim', `${time}  ${columns(alert, plain)}  ${id} [${what}]`);
}

/** An entry of an inbox on one line; `*` says unread. */
export function entryLine(entry: InboxEntry__Output, paint: Paint): string {
  const { alert, isRead } = entry;
  if (alert === null) return `${isRead ? ' ' : '*'} an entry without its alert`;
  const mark = isRead ? ' ' : paint('bold', '*');
  return `${mark} ${String(alert.alertId).padStart(6)}  ${dateAndClock(alert.occurredAt)}  ${columns(alert, paint)}`;
}

/** An alert and how far it has come, for people. */
export function alertLines(alert: Alert__Output, progress: AlertProgress__Output | null, paint: Paint): string[] {
  const level = short(alert.level, 'ALERT_LEVEL_');
  const lines = [
    paint('bold', `alert ${alert.alertId}: ${oneLine(alert.title)}`),
    field('level', paint(LEVEL_STYLES[level] ?? 'bold', level)),
    field('kind', short(alert.kind, 'ALERT_KIND_')),
    field('app', oneLine(alert.appName)),
    field('occurred', dateAndClock(alert.occurredAt)),
    field('created', dateAndClock(alert.createdAt)),
  ];
  if (alert.sourceId !== '') lines.push(field('source id', oneLine(alert.sourceId)));
  for (const [key, value] of Object.entries(alert.labels))
    lines.push(field('label', `${oneLine(key)}=${oneLine(value)}`));
  if (progress !== null) {
    lines.push(
      field('published', dateAndClock(progress.publishedAt)),
      field('fanned out', dateAndClock(progress.fannedOutAt)),
      field(
        'delivered',
        `${progress.delivered} of ${progress.fannedOutAt === null ? '?' : progress.recipients}, read by ${progress.read}`,
      ),
      field('complete', dateAndClock(progress.completedAt)),
      ...pushLines(progress),
    );
    if (progress.traceId !== '') lines.push(field('trace', oneLine(progress.traceId)));
  }
  if (alert.message !== '') lines.push('', manyLines(alert.message));
  return lines;
}

/** How many pushes are in each state, and the first of them. */
function pushLines({ pushCounts, pushes }: AlertProgress__Output): string[] {
  if (pushCounts.length === 0) return [];
  const stateOf = (state: string) => short(state, 'PUSH_STATE_').toLowerCase();
  const counts = pushCounts.map(({ state, count }) => `${count} ${stateOf(state)}`).join(', ');
  const lines = pushes.map(({ userId, deviceId, state, attempts, sentAt, fcmMessageName, error }) => {
    const times = attempts === 1 ? '1 attempt' : `${attempts} attempts`;
    const details = [sentAt === null ? '' : dateAndClock(sentAt), oneLine(fcmMessageName), oneLine(error)];
    const known = details.filter((text) => text !== '').map((text) => `, ${text}`);
    return `    ${oneLine(userId)}, device ${deviceId}: ${stateOf(state)}, ${times}${known.join('')}`;
  });
  const total = pushCounts.reduce((sum, { count }) => sum + count, 0);
  if (total > pushes.length) lines.push(`    and ${total - pushes.length} more`);
  return [field('pushes', counts), ...lines];
}

function field(name: string, value: string): string {
  return `  ${name.padEnd(11)}${value}`;
}

/** As proto3 JSON has it (RFC 3339 in UTC), or null. */
export function timeJson(time: Timestamp__Output | null): string | null {
  if (time === null) return null;
  const milliseconds = toDate(time).toISOString();
  const rest = time.nanos % 1e6;
  return rest === 0 ? milliseconds : milliseconds.replace('Z', `${String(rest).padStart(6, '0')}Z`);
}

/** An alert for programs: proto3 JSON, except that alertId is a number. */
export function alertJson(alert: Alert__Output | null): object | null {
  if (alert === null) return null;
  return { ...alert, occurredAt: timeJson(alert.occurredAt), createdAt: timeJson(alert.createdAt) };
}

export function progressJson(progress: AlertProgress__Output | null): object | null {
  if (progress === null) return null;
  return {
    ...progress,
    publishedAt: timeJson(progress.publishedAt),
    fannedOutAt: timeJson(progress.fannedOutAt),
    completedAt: timeJson(progress.completedAt),
    firstDeliveredAt: timeJson(progress.firstDeliveredAt),
    lastDeliveredAt: timeJson(progress.lastDeliveredAt),
    lastReadAt: timeJson(progress.lastReadAt),
    firstPushSentAt: timeJson(progress.firstPushSentAt),
    lastPushSentAt: timeJson(progress.lastPushSentAt),
    nextCheckAt: timeJson(progress.nextCheckAt),
    pushes: progress.pushes.map((push) => ({ ...push, sentAt: timeJson(push.sentAt), dueAt: timeJson(push.dueAt) })),
  };
}

export function entryJson({ alert, isRead, readAt, sequence, deliveredAt }: InboxEntry__Output): object {
  return {
    sequence,
    isRead,
    readAt: timeJson(readAt),
    deliveredAt: timeJson(deliveredAt),
    alert: alertJson(alert),
  };
}

/**
 * The changes of a response for programs, one object each. Token and unread count hold behind all of them, so only
 * the last one carries them: who stops in the middle and goes on with a token must not lose the rest.
 */
export function changesJson({ changes, resumeToken, unreadCount }: StreamAlertsResponse__Output): object[] {
  return changes.map(({ sequence, type, isRead, alert }, index) => {
    const isLast = index === changes.length - 1;
    return {
      sequence,
      type,
      isRead,
      // A deleted alert is a number and nothing else; protobuf's defaults would look like an empty alert.
      alert: type === 'INBOX_CHANGE_TYPE_DELETED' && alert !== null ? { alertId: alert.alertId } : alertJson(alert),
      resumeToken: isLast ? resumeToken : null,
      unreadCount: isLast ? unreadCount : null,
    };
  });
}

import { createHash } from 'node:crypto';
import {
  ALERT_KINDS,
  ALERT_LEVELS,
  type AlertKind,
  type AlertLevel,
  type NamedRecipients,
  type NewAlert,
} from '../domain/alert.js';
import { invalidArgument, type FieldViolation } from '../domain/errors.js';
import { fromProto } from '../lib/grpc/messages.js';
import type { CreateAlertRequest__Output } from '../lib/grpc/types/ssom/alert/v1/CreateAlertRequest.js';
import type { Recipients__Output } from '../lib/grpc/types/ssom/alert/v1/Recipients.js';
import { wallClock } from '../lib/wall-clock.js';

const LIMITS = {
  requestId: 128,
  sourceId: 256,
  appName: 128,
  title: 200,
  message: 16_384,
  labels: 32,
  labelKey: 64,
  labelValue: 256,
  namedRecipients: 10_000,
} as const;
const DAY_MS = 86_400_000;
const OCCURRED_PAST_MS = 30 * DAY_MS;
const OCCURRED_AHEAD_MS = 3_600_000;

/** Characters as people count them for a limit: Unicode code points. */
function length(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

function tooLong(text: string, limit: number): boolean {
  // A string has at most as many code points as UTF-16 units, so most need no counting.
  return text.length > limit && length(text) > limit;
}

class Violations {
  readonly found: FieldViolation[] = [];

  add(field: string, description: string): void {
    this.found.push({ field, description });
  }

  text(field: string, value: string, limit: number, required = false): void {
    if (required && value.trim() === '') this.add(field, `is required: 1 to ${limit} characters`);
    else if (tooLong(value, limit)) this.add(field, `must have at most ${limit} characters, not ${length(value)}`);
    else if (value.includes('\0')) this.add(field, 'must not contain the character U+0000');
  }
}

/**
 * Reads a request and finds everything that is wrong with it.
 * @throws AlertError INVALID_ARGUMENT with every violation, by field path
 */
export function readCreateAlertRequest(
  request: CreateAlertRequest__Output,
  caller: string,
  traceparent: string | undefined,
  now = wallClock(),
): NewAlert {
  const violations = new Violations();
  violations.text('request_id', request.requestId, LIMITS.requestId);
  violations.text('app_name', request.appName, LIMITS.appName, true);
  violations.text('title', request.title, LIMITS.title, true);
  violations.text('message', request.message, LIMITS.message);
  violations.text('source_id', request.sourceId, LIMITS.sourceId);
  const kind = readEnum(request.kind, 'kind', ALERT_KINDS, 'ALERT_KIND', violations);
  const level = readEnum(request.level, 'level', ALERT_LEVELS, 'ALERT_LEVEL', violations);
  readLabels(request.labels, violations);
  const occurredAt = readOccurredAt(request.occurredAt, now, violations);
  const recipients = readRecipients(request.recipients, violations);
  if (violations.found.length > 0) throw invalidArgument(violations.found);
  const { appName, title, message, sourceId, labels, requestId } = request;
  const content = { kind: kind!, appName, level: level!, title, message, sourceId, labels, occurredAt };
  const requestHash = requestId === '' ? Buffer.alloc(0) : hashRequest(content, recipients);
  return { ...content, caller, requestId, requestHash, recipients, traceparent };
}

function readEnum<T extends string>(
  value: string | number,
  field: string,
  values: readonly T[],
  prefix: string,
  violations: Violations,
): T | undefined {
  const known = fromProto(values, prefix, value);
  if (known === undefined) {
    const given = value === `${prefix}_UNSPECIFIED` ? 'is required' : `must not be ${value}`;
    violations.add(field, `${given}: one of ${values.map((name) => `${prefix}_${name}`).join(', ')}`);
  }
  return known;
}

function readLabels(labels: Readonly<Record<string, string>>, violations: Violations): void {
  const entries = Object.entries(labels);
  if (entries.length > LIMITS.labels)
    violations.add('labels', `must have at most ${LIMITS.labels} entries, not ${entries.length}`);
  for (const [key, value] of entries.slice(0, LIMITS.labels)) {
    const field = `labels[${JSON.stringify(key.slice(0, LIMITS.labelKey))}]`;
    if (key === '' || tooLong(key, LIMITS.labelKey))
      violations.add(field, `must have a key of 1 to ${LIMITS.labelKey} characters`);
    if (tooLong(value, LIMITS.labelValue))
      violations.add(field, `must have a value of at most ${LIMITS.labelValue} characters`);
    if (key.includes('\0') || value.includes('\0')) violations.add(field, 'must not contain the character U+0000');
  }
}

function readOccurredAt(
  timestamp: { seconds: number; nanos: number } | null,
  now: number,
  violations: Violations,
): number | undefined {
  if (timestamp === null) return undefined;
  const ms = timestamp.seconds * 1000 + Math.floor(timestamp.nanos / 1e6);
  const validNanos = timestamp.nanos >= 0 && timestamp.nanos < 1e9;
  if (validNanos && ms >= now - OCCURRED_PAST_MS && ms <= now + OCCURRED_AHEAD_MS) return ms;
  const given = validNanos && Math.abs(ms) < 8.64e15 ? `, not ${new Date(ms).toISOString()}` : '';
  violations.add('occurred_at', `must be from 30 days ago to 1 hour ahead${given}; leave it out for now`);
  return undefined;
}

function readRecipients(recipients: Recipients__Output | null, violations: Violations): NamedRecipients | undefined {
  if (recipients === null) return undefined;
  const { userIds, departments, githubLogins } = recipients;
  const total = userIds.length + departments.length + githubLogins.length;
  if (total === 0) {
    violations.add(
      'recipients',
      'must name at least one user, department or login; leave it out to use the routing rules',
    );
  }
  if (userIds.length + githubLogins.length > LIMITS.namedRecipients || departments.length > LIMITS.namedRecipients) {
    violations.add('recipients', `must name at most ${LIMITS.namedRecipients} users; name departments instead`);
    return undefined;
  }
  const lists = { user_ids: userIds, departments, github_logins: githubLogins };
  for (const [name, list] of Object.entries(lists)) {
    list.forEach((entry, index) => violations.text(`recipients.${name}[${index}]`, entry, 128, true));
  }
  return {
    userIds: [...new Set(userIds)],
    departments: [...new Set(departments)],
    githubLogins: [...new Set(githubLogins.map((login) => login.toLowerCase()))],
  };
}

/** SHA-256 over the normalised fields: labels and recipients sorted, an absent occurred_at as such. */
function hashRequest(
  content: {
    kind: AlertKind;
    appName: string;
    level: AlertLevel;
    title: string;
    message: string;
    sourceId: string;
    labels: Readonly<Record<string, string>>;
    occurredAt: number | undefined;
  },
  recipients: NamedRecipients | undefined,
): Buffer {
  const { kind, appName, level, title, message, sourceId, labels, occurredAt } = content;
  const sortedLabels = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  const named =
    recipients === undefined
      ? null
      : [recipients.userIds, recipients.departments, recipients.githubLogins].map((list) => [...list].sort());
  const normal = JSON.stringify([
    kind,
    appName,
    level,
    title,
    message,
    sourceId,
    sortedLabels,
    occurredAt ?? null,
    named,
  ]);
  return createHash('sha256').update(normal).digest();
}

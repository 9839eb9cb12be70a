import { createHash } from 'node:crypto';
import { BOUNDS, Violations } from '../api/violations.js';
import {
  type Adjustment,
  ALERT_KINDS,
  ALERT_LEVELS,
  type AlertKind,
  type AlertLevel,
  type NamedRecipients,
  type NewAlert,
} from '../domain/alert.js';
import { characters, cutAfter, isBlank, longerThan, onOneLine, shorten, withoutNul } from '../domain/text.js';
import type { CreateAlertRequest__Output, Recipients__Output } from '../gen/types.js';
import { wallClock } from '../lib/wall-clock.js';

/**
 * In characters: what is `kept` of a text, and up to where it is `taken` and shortened. The largest alert has 300 KiB
 * of an event's 512; a request_id with a caller of 128 has 2,576 bytes of the 2,704 that its index takes.
 */
const LIMITS = {
  requestId: 512,
  sourceId: { kept: 1024, taken: 16_384 },
  appName: { kept: 128, taken: 4096 },
  labels: 32,
  title: { kept: 200, taken: 4096 },
  message: { kept: 16_384, taken: 262_144 },
  labelKey: 317,
  labelValue: { kept: 1024, taken: 16_384 },
  name: 128,
} as const;
/** Of the hash of a source_id that is cut: among a million of them no two are equal by chance. */
const HASH_DIGITS = 16;
const OCCURRED_AHEAD_MS = 86_400_000;

interface TextLimit {
  readonly kept: number;
  readonly taken: number;
}

/** What a request says, as it is stored, and what had to be changed for that. */
class Reading {
  readonly violations = new Violations();
  readonly adjustments: Adjustment[] = [];

  /** A text that is shortened rather than refused. */
  text(
    field: string,
    given: string,
    { kept, taken }: TextLimit,
    clean: (text: string) => string,
    cut: (text: string, limit: number) => string = shorten,
  ): string {
    if (longerThan(given, taken)) {
      this.violations.add(field, `must have at most ${taken} characters (${kept} are kept), not ${characters(given)}`);
      return given;
    }
    const cleaned = clean(given);
    if (cleaned !== given) this.#adjusted(field, 'CLEANED', given);
    if (!longerThan(cleaned, kept)) return cleaned;
    this.#adjusted(field, 'SHORTENED', given);
    return cut(cleaned, kept);
  }

  /** A text that says nothing if nothing of it can be seen. */
  required(field: string, given: string, limit: TextLimit, clean: (text: string) => string): string {
    if (!isBlank(given)) return this.text(field, given, limit, clean);
    this.violations.add(field, `is required: 1 to ${limit.kept} characters, and one that can be seen`);
    return given;
  }

  /** The first pairs by key: a map has no order of its own, so that another one might come with each repeat. */
  pairs(field: string, given: readonly (readonly [string, string])[], limit: number) {
    if (given.length <= limit) return given;
    this.adjustments.push({ field, type: 'SHORTENED', originalLength: given.length, original: '' });
    return sortedByKey(given).slice(0, limit);
  }

  #adjusted(field: string, type: Adjustment['type'], given: string): void {
    this.adjustments.push({ field, type, originalLength: characters(given), original: '' });
  }
}

/**
 * Reads a request: shortens and sets right what it can, and finds everything that is wrong with it.
 * @throws AlertError INVALID_ARGUMENT with every violation, by field path
 */
export function readCreateAlertRequest(
  request: CreateAlertRequest__Output,
  caller: string,
  traceparent: string | undefined,
  now = wallClock(),
): NewAlert {
  const reading = new Reading();
  const { violations, adjustments } = reading;
  const { requestId } = request;
  violations.name('request_id', requestId, LIMITS.requestId);
  const appName = reading.required('app_name', request.appName, LIMITS.appName, withoutNul);
  const title = reading.required('title', request.title, LIMITS.title, onOneLine);
  const message = reading.text('message', request.message, LIMITS.message, withoutNul);
  const sourceId = reading.text('source_id', request.sourceId, LIMITS.sourceId, withoutNul, shortenId);
  const kind = violations.choice('kind', request.kind, ALERT_KINDS, 'ALERT_KIND');
  const level = violations.choice('level', request.level, ALERT_LEVELS, 'ALERT_LEVEL');
  const labels = readLabels(request.labels, reading);
  const occurredAt = readOccurredAt(request.occurredAt, now, adjustments);
  const named = readRecipients(request.recipients, violations);
  violations.throwIfAny();
  const content = { kind: kind!, appName, level: level!, title, message, sourceId, labels, occurredAt };
  const requestHash = requestId === '' ? Buffer.alloc(0) : hashRequest(request, kind!, level!, named);
  const recipients = named && storableNames(named);
  return { ...content, caller, requestId, requestHash, recipients, traceparent, adjustments };
}

/** Two long ids that differ in what is left out stay two. */
function shortenId(text: string, limit: number): string {
  const hash = createHash('sha256').update(text).digest('hex');
  return shorten(text, limit - HASH_DIGITS) + hash.slice(0, HASH_DIGITS);
}

function readLabels(given: Readonly<Record<string, string>>, reading: Reading): Record<string, string> {
  const { violations } = reading;
  const entries = Object.entries(given);
  if (!violations.fits('labels', entries, BOUNDS['CreateAlertRequest.labels'])) return {};
  const kept = reading.pairs('labels', entries, LIMITS.labels).map(([key, value]) => {
    const field = `labels[${JSON.stringify(key.slice(0, LIMITS.labelKey))}]`;
    if (key === '' || longerThan(key, LIMITS.labelKey))
      violations.add(field, `must have a key of 1 to ${LIMITS.labelKey} characters`);
    if (key.includes('\0')) violations.add(field, 'must not contain the character U+0000');
    return [key, reading.text(field, value, LIMITS.labelValue, withoutNul)] as const;
  });
  return Object.fromEntries(kept);
}

interface GivenTime {
  readonly seconds: number;
  readonly nanos: number;
}

/** Milliseconds since 1970; NaN for what is no time. */
function millisOf({ seconds, nanos }: GivenTime): number {
  return nanos >= 0 && nanos < 1e9 ? seconds * 1000 + Math.floor(nanos / 1e6) : Number.NaN;
}

function readOccurredAt(given: GivenTime | null, now: number, adjustments: Adjustment[]): number | undefined {
  if (given === null) return undefined;
  const ms = millisOf(given);
  if (ms >= 0 && ms <= now + OCCURRED_AHEAD_MS) return ms;
  const original = Math.abs(ms) < 8.64e15 ? new Date(ms).toISOString() : `${given.seconds} s, ${given.nanos} ns`;
  adjustments.push({ field: 'occurred_at', type: 'REPLACED', originalLength: 0, original });
  return undefined;
}

function readRecipients(recipients: Recipients__Output | null, violations: Violations): NamedRecipients | undefined {
  if (recipients === null) return undefined;
  const { userIds, departments, githubLogins } = recipients;
  if (userIds.length + departments.length + githubLogins.length === 0) {
    violations.add(
      'recipients',
      'must name at least one user, department or login; leave it out to use the routing rules',
    );
  }
  const lists = { user_ids: userIds, departments, github_logins: githubLogins } as const;
  for (const [name, list] of Object.entries(lists) as [keyof typeof lists, readonly string[]][]) {
    const path = `recipients.${name}`;
    if (!violations.fits(path, list, BOUNDS[`Recipients.${name}`])) return undefined;
  }
  const { max } = BOUNDS['Recipients.user_ids'];
  if (userIds.length + githubLogins.length > max)
    violations.add('recipients', `must name at most ${max} users; name departments instead`);
  return {
    userIds: [...new Set(userIds)],
    departments: [...new Set(departments)],
    githubLogins: distinctLogins(githubLogins),
  };
}

/**
 * What can be nobody's name is looked for like the others, and so is told as unknown: it keeps nobody else's alert
 * back.
 */
function storableNames({ userIds, departments, githubLogins }: NamedRecipients): NamedRecipients {
  return {
    userIds: userIds.map(storableName),
    departments: departments.map(storableName),
    githubLogins: githubLogins.map(storableName),
  };
}

/** Still nobody's: with its sign it is longer than any name of the directory, and none of those has a U+FFFD. */
function storableName(name: string): string {
  return cutAfter(withoutNul(name), LIMITS.name);
}

/** Each once, spelt as it was given first: so it is named if there is none such. */
function distinctLogins(logins: readonly string[]): string[] {
  const spellings = new Map<string, string>();
  for (const login of logins) {
    const name = login.toLowerCase();
    if (!spellings.has(name)) spellings.set(name, login);
  }
  return [...spellings.values()];
}

/**
 * SHA-256 over the request as it was given, before anything is shortened or replaced: a repeat has the same hash
 * whatever "now" is. Labels and recipients are sorted, logins in lower case.
 */
function hashRequest(
  request: CreateAlertRequest__Output,
  kind: AlertKind,
  level: AlertLevel,
  recipients: NamedRecipients | undefined,
): Buffer {
  const { appName, title, message, sourceId, labels, occurredAt } = request;
  const sortedLabels = sortedByKey(Object.entries(labels));
  const named =
    recipients === undefined
      ? null
      : [recipients.userIds, recipients.departments, recipients.githubLogins.map((login) => login.toLowerCase())].map(
          (list) => [...list].sort(),
        );
  const normal = JSON.stringify([
    kind,
    appName,
    level,
    title,
    message,
    sourceId,
    sortedLabels,
    occurredAt === null ? null : hashedTime(occurredAt),
    named,
  ]);
  return createHash('sha256').update(normal).digest();
}

function sortedByKey(pairs: readonly (readonly [string, string])[]) {
  return [...pairs].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** In milliseconds; what cannot be told by them as it was given. */
function hashedTime(given: GivenTime): number | readonly [number, number] {
  const ms = millisOf(given);
  return Number.isSafeInteger(ms) ? ms : [given.seconds, given.nanos];
}

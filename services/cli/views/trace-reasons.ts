import { NO_LETTER } from '../../domain/device.js';
import type { AlertProgress__Output, DeadLetter__Output } from '../../gen/types.js';
import type { RoleState } from '../io/roles.js';
import { isKnown, nameOf, problemsOf, runs } from './system.js';
import { count, duration, oneLine } from './text.js';
import { millis, missingCount, pendingPushes } from './trace.js';

/**
 * Why an alert is not further, as far as it and the roles tell; the first is the nearest cause. Empty: it has come all
 * its way, and the streams are served.
 * @param now milliseconds since 1970
 */
export function reasonsOf(progress: AlertProgress__Output, states: readonly RoleState[], now: number): string[] {
  return [
    ...wayReasons(progress, states, now),
    ...pushReasons(progress, states, now),
    ...streamReasons(progress, states),
  ];
}

function wayReasons(progress: AlertProgress__Output, states: readonly RoleState[], now: number): string[] {
  const missing = missingCount(progress);
  if (missing === 0) return [];
  const letters = deadLetterReasons(progress);
  if (progress.publishedAt === null)
    return letters.length === 0 ? outboxReasons(states) : [...letters, ...checkReasons(progress, false, now)];
  const problems = progress.fannedOutAt === null ? problemsOf('fanout', states) : [];
  // A large one is delivered while it is being fanned out, and that it was may be noted late.
  if (problems.length === 0 || progress.delivered > 0) problems.push(...problemsOf('delivery', states));
  const onlyDeadLetters = progress.deadLetterCount >= missing && problems.length === 0;
  return [
    ...letters,
    ...problems,
    ...(onlyDeadLetters ? [] : checkReasons(progress, isKnown(states) && problems.length === 0, now)),
  ];
}

function deadLetterReasons({ deadLetters, deadLetterCount }: AlertProgress__Output): string[] {
  if (deadLetters.length === 0) return [];
  const lines = deadLetters.map(describeDeadLetter);
  const more = deadLetterCount - deadLetters.length;
  if (more > 0) lines.push(`and ${count(more, 'dead letter')} more`);
  const [first] = deadLetters;
  lines.push(`'ssom-alert dlq show ${oneLine(first!.name)}' shows it; mend the cause, then 'ssom-alert dlq redrive'`);
  return lines;
}

function describeDeadLetter({ name, userId, reason, purged, waitsFor }: DeadLetter__Output): string {
  const whose = userId === '' ? 'the whole alert' : oneLine(userId);
  const where = waitsFor === '' ? '' : `; it waits in PostgreSQL, as its topic does not take it: ${oneLine(waitsFor)}`;
  return `dead letter ${oneLine(name)} (${whose})${purged ? ', given up for good' : ''}: ${oneLine(reason)}${where}`;
}

function outboxReasons(states: readonly RoleState[]): string[] {
  const problems = problemsOf('alert-api', states);
  const of = (metric: string) => Math.max(0, ...states.map(({ metrics }) => metrics.max(metric) ?? 0));
  const [depth, age] = [of('ssom_outbox_depth'), of('ssom_outbox_age')];
  if (depth > 0) {
    problems.push(
      `${count(depth, 'alert')} ${depth === 1 ? 'waits' : 'wait'} in the outbox, the oldest for ${duration(age * 1000)}: ` +
        'Kafka does not take them, or it takes them slower than they come',
    );
  }
  return problems.length > 0 || !isKnown(states)
    ? problems
    : ['the sweeper of the alert-api publishes it after OUTBOX_SWEEP_AFTER_MS'];
}

/** What brings the rest, if nothing is on its way any more. */
function checkReasons(progress: AlertProgress__Output, allWell: boolean, now: number): string[] {
  const next = millis(progress.nextCheckAt);
  const lines = allWell ? ['the roles before it are well and have nothing to do: its events may be lost'] : [];
  if (next === null) return lines;
  const when = next > now ? `in ${duration(next - now)}` : 'at its next run (RECONCILE_INTERVAL_MS)';
  const before = progress.checks === 0 ? '' : `; it found it incomplete ${count(progress.checks, 'time')}`;
  return [...lines, `reconcile looks at it ${when} and sends what is missing${before}`];
}

function pushReasons(progress: AlertProgress__Output, states: readonly RoleState[], now: number): string[] {
  const pending = pendingPushes(progress);
  const reasons = failedPushes(progress);
  if (pending === 0 && progress.unplannedPushes === 0) return reasons;
  const senders = states.filter((state) => runs(state, 'push'));
  const off = senders.filter(({ ready, metrics }) => ready && isOff(metrics));
  if (senders.length > 0 && off.length === senders.length)
    return [...reasons, `${nameOf(off[0]!)} pushes nothing: FCM_CREDENTIALS is not set`];
  reasons.push(...problemsOf('push', states));
  for (const state of senders) {
    const seconds = state.metrics.max('ssom_push_paused') ?? 0;
    if (seconds > 0) reasons.push(`${nameOf(state)}: FCM has asked to wait ${duration(seconds * 1000)}`);
  }
  const due = Math.max(0, ...senders.map(({ metrics }) => metrics.max('ssom_push_due') ?? 0));
  if (due > 0) reasons.push(`${count(due, 'push')} of all alerts ${due === 1 ? 'is' : 'are'} due`);
  return [...reasons, ...waitingPushes(progress, now)];
}

/** FCM's code for a device that it does not know any more: nothing is left to be sent to, so that is no dead letter. */
const DEVICE_GONE = 'messaging/registration-token-not-registered';

/**
 * Those that were given up, and what can be done. GetAlert does not name their dead letters, as no inbox waits for
 * them.
 */
function failedPushes({ pushes }: AlertProgress__Output): string[] {
  const failed = pushes.filter(({ state, error }) => state === 'PUSH_STATE_FAILED' && error !== '');
  const lines = failed
    .slice(0, 3)
    .map(({ userId, deviceId, error }) => `push to ${oneLine(userId)}, device ${deviceId}: ${oneLine(error)}`);
  const deadLettered = failed.find(({ error }) => !error.startsWith(DEVICE_GONE) && !error.endsWith(NO_LETTER));
  if (deadLettered !== undefined) {
    // With these words its reason begins.
    const list = `ssom-alert dlq list --reason "push to device ${deadLettered.deviceId}:"`;
    lines.push(
      `'${list}' lists it, 'ssom-alert dlq show NAME' shows it; mend the cause, then 'ssom-alert dlq redrive'`,
    );
  }
  return lines;
}

/** Its own limits are among the metrics of every role that sends. */
function isOff(metrics: RoleState['metrics']): boolean {
  return metrics.has('ssom_push_skipped_total') && !metrics.has('ssom_push_limit');
}

function waitingPushes({ pushes }: AlertProgress__Output, now: number): string[] {
  return pushes
    .filter(({ state, dueAt, error }) => {
      // One that is being tried for the first time is on its way, and no problem.
      const waits = state === 'PUSH_STATE_WAITING' || (state === 'PUSH_STATE_SENDING' && error !== '');
      return waits && (millis(dueAt) ?? 0) > now;
    })
    .slice(0, 3)
    .map(({ userId, deviceId, dueAt, attempts, error }) => {
      const again = duration(millis(dueAt)! - now);
      const why =
        attempts === 0
          ? `waits ${again}, as its user holds a stream (PUSH_GRACE_MS)`
          : `failed and is tried again in at most ${again}: ${oneLine(error)}`;
      return `push to ${oneLine(userId)}, device ${deviceId}, ${why}`;
    });
}

/** The service does not keep who saw it on a stream; what keeps streams from showing it is known. */
function streamReasons({ delivered }: AlertProgress__Output, states: readonly RoleState[]): string[] {
  return delivered === 0 ? [] : problemsOf('stream-gateway', states);
}

import type { Alert__Output, AlertProgress__Output, Timestamp__Output } from '../../gen/types.js';
import { count, duration } from './text.js';

/** A part of an alert's way. Times are milliseconds since 1970. */
export interface Step {
  readonly name: 'created' | 'published' | 'fanned out' | 'in inboxes' | 'pushed' | 'read';
  /** When it was done, or how far it has come; null: it has not begun. */
  readonly at: number | null;
  /** When the first one was, where there are several and it was another time. */
  readonly firstAt: number | null;
  /** Since the step before; null: not known. */
  readonly afterMs: number | null;
  readonly done: number;
  readonly of: number;
  /** It took longer than it should. */
  readonly slow: boolean;
  readonly note: string;
}

/** What ALERT_MONITORING_SLOW_PROCESSING_MS is unless it was set. */
const SLOW_MS = 5000;
/** A push may wait for PUSH_GRACE_MS, 10 s, while its user holds a stream. */
const SLOW_PUSH_MS = 10_000 + SLOW_MS;
/** Progress is noted in batches, so at most so much later than it was. */
const NOTED_WITHIN_MS = 1000;
/** Pushes to come. */
const PENDING: readonly string[] = ['PUSH_STATE_WAITING', 'PUSH_STATE_SENDING'];

/** Where an alert is: the steps of its way, in their order. */
export function stepsOf(alert: Alert__Output, progress: AlertProgress__Output): Step[] {
  const { recipients, delivered } = progress;
  const created = millis(alert.createdAt);
  // Until it is fanned out the service knows that it was published, and not when.
  const published = progress.fannedOutAt === null ? null : millis(progress.publishedAt);
  const isPublished = progress.publishedAt !== null;
  // A process that died had not noted it, and the sweeper published it once more: when it was first is not known.
  const firstIn = millis(progress.firstDeliveredAt);
  const isRepeated = published !== null && firstIn !== null && published > firstIn + NOTED_WITHIN_MS;
  const inInboxes = millis(progress.lastDeliveredAt);
  const notedAt = millis(progress.fannedOutAt);
  // Its end is noted some 50 ms later than it was, when delivery may be through: it was no later than the last
  // delivery.
  const isThrough = recipients > 0 && delivered >= recipients && notedAt !== null && inInboxes !== null;
  const fannedOut = isThrough ? Math.min(notedAt, inInboxes) : notedAt;
  const step = (name: Step['name'], at: number | null, before: number | null, more: Partial<Step> = {}): Step => {
    const first = more.firstAt ?? null;
    // Clocks of several machines, and notes that are written later than what they tell of: never less than nothing.
    const afterMs = at === null || before === null ? null : Math.max(0, at - before);
    const slow = afterMs !== null && afterMs > (name === 'pushed' ? SLOW_PUSH_MS : SLOW_MS);
    const one = at === null ? 0 : 1;
    return { name, at, afterMs, done: one, of: 1, slow, note: '', ...more, firstAt: first === at ? null : first };
  };
  const pushes = pushTotals(progress);
  return [
    step('created', created, null),
    step('published', published, isRepeated ? null : created, {
      done: isPublished ? 1 : 0,
      note: isRepeated
        ? 'once more: it was in an inbox before'
        : isPublished && published === null
          ? 'it was; when is known after the fan-out'
          : '',
    }),
    step('fanned out', fannedOut, published, {
      note: fannedOut === null && delivered > 0 ? 'under way' : '',
      ...(fannedOut === null ? {} : { done: recipients, of: recipients }),
    }),
    step('in inboxes', inInboxes, fannedOut ?? published, {
      firstAt: millis(progress.firstDeliveredAt),
      done: delivered,
      of: recipients,
      note: progress.closed ? 'closed by retention' : '',
    }),
    step('pushed', millis(progress.lastPushSentAt), inInboxes, {
      firstAt: millis(progress.firstPushSentAt),
      done: pushes.done,
      of: pushes.total,
      note: pushes.note,
    }),
    { ...step('read', millis(progress.lastReadAt), null), done: progress.read, of: recipients },
  ];
}

/** How many recipients' inboxes lack the alert. */
export function missingCount({ recipients, delivered, closed }: AlertProgress__Output): number {
  return closed ? 0 : Math.max(0, recipients - delivered);
}

/** Pushes that are planned and still to be sent. */
export function pendingPushes({ pushCounts }: AlertProgress__Output): number {
  return pushCounts.filter(({ state }) => PENDING.includes(state)).reduce((sum, each) => sum + each.count, 0);
}

function pushTotals(progress: AlertProgress__Output): { done: number; total: number; note: string } {
  const of = (state: string) => progress.pushCounts.find((each) => each.state === `PUSH_STATE_${state}`)?.count ?? 0;
  const done = of('SENT') + of('DISMISSED');
  const planned = progress.pushCounts.reduce((sum, each) => sum + each.count, 0);
  const rest = (['WAITING', 'SENDING', 'SKIPPED', 'EXPIRED', 'FAILED'] as const)
    .filter((state) => of(state) > 0)
    .map((state) => `${of(state)} ${state.toLowerCase()}`);
  if (progress.unplannedPushes > 0) rest.push(`${count(progress.unplannedPushes, 'user')} not planned for yet`);
  // Who has it in the inbox is who is looked at: until then nothing is known of devices.
  if (planned + progress.unplannedPushes === 0)
    rest.push(
      progress.delivered === 0 && progress.recipients > 0
        ? 'not before it is in an inbox'
        : 'no recipient has a device',
    );
  return { done, total: planned, note: rest.join(', ') };
}

/** The answer in one sentence: where the alert is. */
export function verdictOf(alert: Alert__Output, progress: AlertProgress__Output): string {
  const { recipients, delivered } = progress;
  if (recipients === 0)
    return 'it has no recipients: the routing rules, or the departments that were named, had nobody active when it was created';
  if (progress.closed) return 'it is older than ALERT_RETENTION_DAYS: nothing delivers it any more';
  const missing = missingCount(progress);
  if (missing === 0) {
    const steps = stepsOf(alert, progress);
    const [first, last] = [millis(alert.createdAt), millis(progress.lastDeliveredAt)];
    const took = first === null || last === null ? '' : `, ${duration(Math.max(0, last - first))} after it was created`;
    const [slowest] = steps
      .filter(({ name, slow }) => slow && name !== 'pushed')
      .sort((a, b) => b.afterMs! - a.afterMs!);
    const slow = slowest === undefined ? '' : `; ${duration(slowest.afterMs!)} of it until it was ${slowest.name}`;
    return `it is in the inbox of every recipient${took}${slow}`;
  }
  const ofAll = progress.deadLetters.some(({ userId, purged }) => userId === '' && !purged);
  if (progress.deadLettered && (ofAll || progress.deadLetterCount >= missing))
    return `it waits in the dead letters: it is missing in ${count(missing, 'inbox')} of ${recipients.toLocaleString('en')}`;
  if (progress.publishedAt === null) return 'it waits to be published to Kafka';
  if (delivered === 0 && progress.fannedOutAt === null) return 'it waits to be fanned out';
  return `it is missing in ${count(missing, 'inbox')} of ${recipients.toLocaleString('en')}`;
}

/** Milliseconds since 1970. */
export function millis(time: Timestamp__Output | null): number | null {
  return time === null ? null : time.seconds * 1000 + Math.floor(time.nanos / 1e6);
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import avsc from 'avsc';
import { type AlertClient, createClient } from '../../../services/client/client.js';
import type { InboxEntry__Output } from '../../../services/gen/types.js';
import { ROOT } from '../../../services/lib/root.js';
import { inboxOf } from '../../support/people.js';
import { checkAccount } from './account.js';
import { type Archive, TOPICS } from './archive.js';
import type { Arrivals } from './arrivals.js';
import type { Findings } from './findings.js';
import type { FoldedStream } from './folded-stream.js';
import { INTRUSIONS } from './intruder.js';
import type { Ledger } from './ledger.js';
import { POISON_HEADER, POISON_HEADER_VALUE } from './poison-writer.js';
import type { Traffic } from './traffic.js';
import type { World } from './world.js';

export interface Scene {
  readonly world: World;
  readonly ledger: Ledger;
  readonly findings: Findings;
  readonly traffic: Traffic;
  readonly arrivals: Arrivals;
  readonly archive: Archive;
  readonly accountIsPartial: boolean;
}

/** A record that nobody can decode is among the dead letters within this. */
const HANDLED_MS = 60_000;
const POISON_SETTLES_MS = 3000;
/** FCM's refusals make a device wait for 5 min at most. */
const PUSHES_SETTLE_MS = 360_000;
/** What a claim of the push role holds, the time in which a message leaves, and a fault in the middle of it. */
const STALE_MS = 60_000;

const same = (stream: FoldedStream, entries: readonly InboxEntry__Output[]) =>
  stream.fold.size === entries.length &&
  entries.every(({ alert, isRead }) => stream.fold.get(alert!.alertId) === isRead);

/**
 * Compares everything with the ledger, when the traffic has stopped. What is still on its way is waited for.
 * @param patienceMs how long
 */
export async function verify(scene: Scene, patienceMs: number): Promise<{ userAlerts: number }> {
  const { world, traffic, arrivals } = scene;
  const until = Date.now() + patienceMs;
  while (arrivals.missing() > 0 && Date.now() < until) await sleep(250);
  // The last poison was written when the traffic stopped.
  await sleep(POISON_SETTLES_MS);
  const client = createClient({
    address: world.networks.api.proxies[0]!.address,
    identity: { caller: world.unique('ledger') },
  });
  try {
    let userAlerts = 0;
    const inboxes = new Map<string, readonly InboxEntry__Output[]>();
    for (const { userId } of traffic.people) {
      const entries = await inboxOf(client, userId);
      userAlerts += entries.length;
      inboxes.set(userId, entries);
      await checkInbox(scene, client, userId, entries);
      for (const stream of traffic.streams.filter((each) => each.userId === userId))
        await checkStream(scene, stream, entries, until);
    }
    const { hopeless } = traffic.phones;
    const settled = Date.now() + (hopeless.length === 0 ? patienceMs : PUSHES_SETTLE_MS);
    await pushesSettle(scene, inboxes, settled, (owner) =>
      hopeless.some(({ userId, deadLettersMax }) => userId === owner && deadLettersMax > 0),
    );
    await scene.archive.add(world, Infinity);
    await checkOrder(scene, client);
    const deadLettered = checkDeadLetters(scene);
    await pushesSettle(scene, inboxes, settled, (owner, alertId) => deadLettered.has(pushOf(owner, alertId)));
    await checkPushes(scene, inboxes, deadLettered);
    for (const method of INTRUSIONS)
      if (!traffic.intruder.denied.has(method))
        scene.findings.add('cross-user', `${method} was never refused to the intruder`);
    await checkAccount(scene);
    return { userAlerts };
  } finally {
    client.close();
  }
}

async function checkInbox(
  { ledger, findings }: Scene,
  client: AlertClient,
  userId: string,
  entries: readonly InboxEntry__Output[],
): Promise<void> {
  const wanted = ledger.inbox(userId);
  const have = new Map<number, InboxEntry__Output>();
  const numbers = new Set<number>();
  for (const entry of entries) {
    const { alertId } = entry.alert!;
    if (have.has(alertId)) findings.add('doubled', `the inbox of ${userId} has alert ${alertId} twice`);
    if (numbers.has(entry.sequence)) findings.add('bad numbers', `${userId} has number ${entry.sequence} twice`);
    numbers.add(entry.sequence);
    have.set(alertId, entry);
    const expected = wanted.get(alertId);
    // What readers did to it says nothing of whether it belongs here.
    const known = ledger.alerts.get(alertId);
    if (known === undefined || expected === undefined || !known.may.has(userId)) {
      if (known !== undefined) findings.add('cross-user', `${userId} has alert ${alertId}, which is for others`);
      else
        findings.add(
          'second alert',
          `${userId} has alert ${alertId} (${entry.alert!.title}), which was never acknowledged`,
        );
    } else if (expected.deleted === true) {
      findings.add('resurrected', `${userId} deleted alert ${alertId}`);
    } else if (expected.read !== 'either' && expected.read !== entry.isRead) {
      findings.add('wrong state', `${userId}: alert ${alertId} is ${entry.isRead ? 'read' : 'unread'}`);
    }
  }
  for (const [alertId, { must, deleted }] of wanted)
    if (must && deleted === false && !have.has(alertId)) findings.add('lost', `${userId} has no alert ${alertId}`);
  const unread = entries.filter(({ isRead }) => !isRead).length;
  const { unreadCount } = await client.getUnreadCount({ userId });
  if (unreadCount !== unread) findings.add('wrong count', `${userId}: ${unreadCount} instead of ${unread}`);
  if (!userId.startsWith('quiet')) return;
  const first = Math.max(0, ...numbers) - entries.length;
  if (first !== 0)
    findings.add(
      'bad numbers',
      `${userId} has ${entries.length} entries, the last number is ${first + entries.length}`,
    );
}

async function checkStream(
  { findings }: Scene,
  stream: FoldedStream,
  entries: readonly InboxEntry__Output[],
  until: number,
): Promise<void> {
  const unread = entries.filter(({ isRead }) => !isRead).length;
  while ((!same(stream, entries) || stream.unreadCount !== unread) && Date.now() < until) await sleep(100);
  const { name, fold } = stream;
  const ids = new Set(entries.map(({ alert }) => alert!.alertId));
  for (const { alert, isRead } of entries) {
    const shown = fold.get(alert!.alertId);
    if (shown === undefined) findings.add('gap', `the stream of ${name} never showed alert ${alert!.alertId}`);
    else if (shown !== isRead)
      findings.add('gap', `the stream of ${name} shows alert ${alert!.alertId} as ${shown ? 'read' : 'unread'}`);
  }
  for (const alertId of fold.keys())
    if (!ids.has(alertId))
      findings.add('gap', `the stream of ${name} shows alert ${alertId}, which is not in the inbox`);
  if (stream.unreadCount !== unread)
    findings.add('wrong count', `the stream of ${name} says ${stream.unreadCount} instead of ${unread}`);
}

/** I5, for the users whose rows nobody moved: their numbers follow the first events in user-alert-topic. */
async function checkOrder({ findings, ledger, traffic, archive }: Scene, client: AlertClient): Promise<void> {
  const file = join(ROOT, 'schemas', 'user-alert-topic-value', 'v1.avsc');
  const type = avsc.Type.forSchema(JSON.parse(readFileSync(file, 'utf8')) as avsc.Schema);
  const quiet = traffic.people.map(({ userId }) => userId).filter((userId) => userId.startsWith('quiet'));
  for (const userId of quiet) {
    const numbers = new Map((await inboxOf(client, userId)).map(({ alert, sequence }) => [alert!.alertId, sequence]));
    for (const { since, records } of archive.lives) {
      const order = new Set<number>();
      for (const { key, value } of records('user-alert-topic')) {
        if (key.toString() !== userId || value[0] !== 0) continue;
        const { alertId } = type.decode(value, 5).value as { alertId: number };
        // What was on its way when Kafka was wiped is not in its first place in the topic that came after.
        const alert = ledger.alerts.get(alertId);
        if (alert === undefined || alert.sentAt <= since || ledger.wasOverturned(alert)) continue;
        if (numbers.has(alertId)) order.add(alertId);
      }
      let last: number | undefined;
      for (const alertId of order) {
        if (last !== undefined && numbers.get(alertId)! < numbers.get(last)!)
          findings.add('order per user', `${userId}: alert ${alertId} came before ${last}`);
        last = alertId;
      }
    }
  }
}

/** An alert of somebody's, for a set. */
const pushOf = (userId: string, alertId: number) => `${userId} ${alertId}`;

/**
 * What lies in an inbox as it came, unread and untouched, must have been brought to its owner's phone.
 * @returns what was not
 */
async function notPushed(
  { traffic, ledger }: Scene,
  inboxes: ReadonlyMap<string, readonly InboxEntry__Output[]>,
): Promise<{ userId: string; alertId: number }[]> {
  const missing: { userId: string; alertId: number }[] = [];
  for (const userId of traffic.phones.users) {
    const pushed = await traffic.phones.pushed(userId);
    const accepted = new Set(pushed.filter((push) => push.accepted).map(({ alertId }) => alertId));
    const known = ledger.inbox(userId);
    for (const { alert, isRead } of inboxes.get(userId) ?? []) {
      const { alertId } = alert!;
      const untouched = !isRead && known.get(alertId)?.read === false && known.get(alertId)?.changedAt === 0;
      if (untouched && !accepted.has(alertId)) missing.push({ userId, alertId });
    }
  }
  return missing;
}

/** Waits until everything is pushed that is not answered for otherwise. */
async function pushesSettle(
  scene: Scene,
  inboxes: ReadonlyMap<string, readonly InboxEntry__Output[]>,
  until: number,
  isAnsweredFor: (userId: string, alertId: number) => boolean,
): Promise<void> {
  const isOpen = async () =>
    (await notPushed(scene, inboxes)).some(({ userId, alertId }) => !isAnsweredFor(userId, alertId));
  while ((await isOpen()) && Date.now() < until) await sleep(2000);
}

async function checkPushes(
  scene: Scene,
  inboxes: ReadonlyMap<string, readonly InboxEntry__Output[]>,
  deadLettered: ReadonlySet<string>,
): Promise<void> {
  const { traffic, ledger, findings } = scene;
  for (const { userId, alertId } of await notPushed(scene, inboxes))
    if (!deadLettered.has(pushOf(userId, alertId)))
      findings.add('not pushed', `alert ${alertId} never came to the phone of ${userId}`);
  for (const userId of traffic.phones.users) {
    const known = ledger.inbox(userId);
    for (const { alertId, at, accepted } of await traffic.phones.pushed(userId)) {
      const alert = ledger.alerts.get(alertId);
      // It was committed and lost before its caller had the answer.
      if (alert === undefined) continue;
      if (!alert.may.has(userId)) findings.add('cross-user', `alert ${alertId} was sent to the phone of ${userId}`);
      const { read, deleted, changedAt } = known.get(alertId) ?? { read: false, deleted: false, changedAt: 0 };
      const gone = read === true || deleted === true;
      if (gone && accepted && at > changedAt + STALE_MS && !ledger.wasOverturned(alert))
        findings.add('stale push', `alert ${alertId} to ${userId}, ${at - changedAt} ms after it was read or deleted`);
    }
  }
}

/**
 * I7: among the dead letters is what we wrote to be there, what FCM refused for a hopeless phone, and nothing else.
 * @returns the pushes that lie there
 */
function checkDeadLetters({ findings, traffic, archive }: Scene): ReadonlySet<string> {
  const file = join(ROOT, 'schemas', 'inbox-change-topic-value', 'v2.avsc');
  const change = avsc.Type.forSchema(JSON.parse(readFileSync(file, 'utf8')) as avsc.Schema);
  const { refusedByKafka, phones } = traffic;
  const { hopeless } = phones;
  const mayFail = new Set(hopeless.filter(({ deadLettersMax }) => deadLettersMax > 0).map(({ userId }) => userId));
  const deadLettersMax = hopeless.reduce((sum, each) => sum + each.deadLettersMax, 0);
  const deadLettered = new Set<string>();
  const written = new Map(traffic.poison.written.map((poison) => [letterOf(poison.topic, poison), poison]));
  const letters = new Set<string>();
  for (const { records } of archive.lives) {
    for (const topic of TOPICS) {
      for (const record of records(`${topic}-dlq`)) {
        const letter = letterOf(topic, record);
        const header = (name: string) => record.headers.find((each) => name in each)?.[name]?.toString() ?? '';
        letters.add(letter);
        if (topic === 'inbox-change-topic' && mayFail.has(record.key.toString())) {
          const { userId, changes } = change.decode(record.value, 5).value as {
            userId: string;
            changes: { alertId: number }[];
          };
          deadLettered.add(pushOf(userId, changes[0]!.alertId));
        } else if (refusedByKafka.has(Number(header('dlq-offset'))) && header('dlq-partition') === '-1') {
          // It waits in PostgreSQL until the alert has arrived otherwise, and may get here before.
        } else if (!written.has(letter))
          findings.add('dead letter', `${topic}: ${record.key.toString()} ${header('dlq-error-message')}`);
        else if (header(POISON_HEADER) !== POISON_HEADER_VALUE)
          findings.add('no dead letter', `${topic}: a dead letter has lost a header`);
      }
    }
  }
  for (const [letter, { topic, acknowledged, writtenAt }] of written) {
    // What was written shortly before a wipe went with it.
    const kept = archive.lives.some(({ since, until }) => writtenAt > since && writtenAt < until - HANDLED_MS);
    if (acknowledged === true && kept && !letters.has(letter))
      findings.add('no dead letter', `a record of ${topic} that nobody can decode`);
  }
  if (deadLettered.size > deadLettersMax)
    findings.add('dead letter', `${deadLettered.size} of phones, instead of up to ${deadLettersMax}`);
  return deadLettered;
}

const letterOf = (topic: string, { key, value }: { key: Buffer; value: Buffer }) =>
  `${topic} ${key.toString('hex')} ${value.toString('hex')}`;

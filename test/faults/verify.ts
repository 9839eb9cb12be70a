import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import avsc from 'avsc';
import { createClient, type AlertClient } from '../../services/client/client.js';
import type { InboxEntry__Output } from '../../services/lib/grpc/types/ssom/alert/v1/InboxEntry.js';
import { ROOT } from '../../services/lib/root.js';
import { inboxOf } from '../real/support.js';
import { TOPICS, type Archive } from './archive.js';
import type { Findings } from './findings.js';
import type { Follower } from './follower.js';
import type { Ledger } from './ledger.js';
import type { Arrivals } from './arrivals.js';
import { POISON_HEADER, POISON_HEADER_VALUE } from './poison-writer.js';
import { INTRUSIONS, type Traffic } from './traffic.js';
import type { World } from './world.js';

export interface Scene {
  readonly world: World;
  readonly ledger: Ledger;
  readonly findings: Findings;
  readonly traffic: Traffic;
  readonly arrivals: Arrivals;
  readonly archive: Archive;
}

/** A record that nobody can decode is among the dead letters within this. */
const HANDLED_MS = 60_000;
const POISON_SETTLES_MS = 3000;

const same = (follower: Follower, entries: readonly InboxEntry__Output[]) =>
  follower.fold.size === entries.length &&
  entries.every(({ alert, isRead }) => follower.fold.get(alert!.alertId) === isRead);

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
    for (const { userId } of traffic.people) {
      const entries = await inboxOf(client, userId);
      userAlerts += entries.length;
      await checkInbox(scene, client, userId, entries);
      for (const follower of traffic.followers.filter((each) => each.userId === userId))
        await checkStream(scene, follower, entries, until);
    }
    await scene.archive.add(world, Infinity);
    await checkOrder(scene, client);
    checkDeadLetters(scene);
    for (const method of INTRUSIONS)
      if (!traffic.denied.has(method)) scene.findings.add('cross-user', `${method} was never refused to the intruder`);
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
  follower: Follower,
  entries: readonly InboxEntry__Output[],
  until: number,
): Promise<void> {
  const unread = entries.filter(({ isRead }) => !isRead).length;
  while ((!same(follower, entries) || follower.unreadCount !== unread) && Date.now() < until) await sleep(100);
  const { name, fold } = follower;
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
  if (follower.unreadCount !== unread)
    findings.add('wrong count', `the stream of ${name} says ${follower.unreadCount} instead of ${unread}`);
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

/** I7: among the dead letters is what we wrote to be there, and nothing else. */
function checkDeadLetters({ findings, traffic, archive }: Scene): void {
  const written = new Map(traffic.poison.written.map((poison) => [letterOf(poison.topic, poison), poison]));
  const letters = new Set<string>();
  for (const { records } of archive.lives) {
    for (const topic of TOPICS) {
      for (const record of records(`${topic}-dlq`)) {
        const letter = letterOf(topic, record);
        const header = (name: string) => record.headers.find((each) => name in each)?.[name]?.toString() ?? '';
        letters.add(letter);
        if (!written.has(letter))
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
}

const letterOf = (topic: string, { key, value }: { key: Buffer; value: Buffer }) =>
  `${topic} ${key.toString('hex')} ${value.toString('hex')}`;

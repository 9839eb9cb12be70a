import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import avsc from 'avsc';
import { createClient, type AlertClient } from '../../services/client/client.js';
import type { InboxEntry__Output } from '../../services/lib/grpc/types/ssom/alert/v1/InboxEntry.js';
import { ROOT } from '../../services/lib/root.js';
import { inboxOf, readTopic } from '../real/support.js';
import type { Findings } from './findings.js';
import type { Follower } from './follower.js';
import type { Ledger } from './ledger.js';
import type { Arrivals } from './arrivals.js';
import type { Traffic } from './traffic.js';
import type { World } from './world.js';

export interface Scene {
  readonly world: World;
  readonly ledger: Ledger;
  readonly findings: Findings;
  readonly traffic: Traffic;
  readonly arrivals: Arrivals;
}

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
    await checkOrder(scene, client);
    await checkDeadLetters(scene);
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
    if (expected === undefined) {
      if (ledger.alerts.has(alertId)) findings.add('cross-user', `${userId} has alert ${alertId}, which is for others`);
      else
        findings.add(
          'second alert',
          `${userId} has alert ${alertId} (${entry.alert!.title}), which was never acknowledged`,
        );
    } else if (expected.deleted) {
      findings.add('resurrected', `${userId} deleted alert ${alertId}`);
    } else if (expected.read !== 'either' && expected.read !== entry.isRead) {
      findings.add('wrong state', `${userId}: alert ${alertId} is ${entry.isRead ? 'read' : 'unread'}`);
    }
  }
  for (const [alertId, { must, deleted }] of wanted)
    if (must && !deleted && !have.has(alertId)) findings.add('lost', `${userId} has no alert ${alertId}`);
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
async function checkOrder({ world, findings, ledger, traffic }: Scene, client: AlertClient): Promise<void> {
  const { records } = await readTopic(world.kafka.bootstrap, 'user-alert-topic');
  const file = join(ROOT, 'schemas', 'user-alert-topic-value', 'v1.avsc');
  const type = avsc.Type.forSchema(JSON.parse(readFileSync(file, 'utf8')) as avsc.Schema);
  const quiet = traffic.people.map(({ userId }) => userId).filter((userId) => userId.startsWith('quiet'));
  const events = new Map<string, number[]>(quiet.map((userId) => [userId, []]));
  for (const { key, value } of records) {
    const order = events.get(key.toString());
    if (order === undefined || value[0] !== 0) continue;
    const { alertId } = type.decode(value, 5).value as { alertId: number };
    const { sentAt = 0 } = ledger.alerts.get(alertId) ?? {};
    // What was on its way when Kafka was wiped is no longer in the topic in its first place.
    if (sentAt > world.wipedAt && !order.includes(alertId)) order.push(alertId);
  }
  for (const [userId, order] of events) {
    const numbers = new Map((await inboxOf(client, userId)).map(({ alert, sequence }) => [alert!.alertId, sequence]));
    const known = order.filter((alertId) => numbers.has(alertId));
    for (let at = 1; at < known.length; at += 1)
      if (numbers.get(known[at]!)! < numbers.get(known[at - 1]!)!)
        findings.add('order per user', `${userId}: alert ${known[at]} came before ${known[at - 1]}`);
  }
}

/** I7: among the dead letters is what we wrote to be there, and nothing else. */
async function checkDeadLetters({ world, findings, traffic }: Scene): Promise<void> {
  const name = (topic: string, key: Buffer, value: Buffer) =>
    `${topic} ${key.toString('hex')} ${value.toString('hex')}`;
  const letters = new Set<string>();
  const written = new Map(
    traffic.poison.written.map((poison) => [name(poison.topic, poison.key, poison.value), poison]),
  );
  for (const topic of ['alert-created-topic', 'user-alert-topic', 'inbox-change-topic']) {
    const { records } = await readTopic(world.kafka.bootstrap, `${topic}-dlq`);
    for (const { key, value, headers } of records) {
      const letter = name(topic, key, value);
      letters.add(letter);
      const reason = headers.find((header) => 'dlq-error-message' in header)?.['dlq-error-message']?.toString();
      if (!written.has(letter)) findings.add('dead letter', `in ${topic}-dlq: ${key.toString()} ${reason ?? ''}`);
    }
  }
  for (const [letter, { topic, acknowledged, writtenAt }] of written)
    if (acknowledged === true && writtenAt > world.wipedAt && !letters.has(letter))
      findings.add('no dead letter', `a record of ${topic} that nobody can decode`);
}

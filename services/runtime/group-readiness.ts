import type { Consumer } from '../lib/kafka/consumer.js';
import { wait } from '../lib/retry.js';
import type { RoleReadiness } from './readiness.js';

/** A rebalance of a healthy group takes less. */
const OUT_OF_GROUP_MS = 15_000;

/** The name under which /readyz shows whether a role has joined its group. */
export function consumerGroupCheck(groupId: string): string {
  return `consumer group ${groupId}`;
}

/** Shows whether a consumer has its place in its group, until the signal aborts. The join takes up to 3 s. */
export async function watchMembership(
  readiness: RoleReadiness,
  consumer: Consumer,
  groupId: string,
  signal: AbortSignal,
): Promise<void> {
  const what = consumerGroupCheck(groupId);
  // A member without an assignment handles nothing yet.
  readiness.set(what, false, 'joining');
  while (!consumer.joined && !signal.aborted) await wait(50, signal);
  readiness.set(what, consumer.joined, 'joined');
  let ready = true;
  while (!signal.aborted) {
    await wait(1000, signal);
    const ms = consumer.unassignedMs;
    if (ready === ms < OUT_OF_GROUP_MS) continue;
    ready = !ready;
    readiness.set(what, ready, ready ? 'joined' : 'not in its group: no partitions were assigned for a while');
  }
}

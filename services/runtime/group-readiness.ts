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
  while (!consumer.joined && !signal.aborted) {
    await wait(50, signal);
    const [refusal] = consumer.refusals;
    if (refusal !== undefined) readiness.set(what, false, refusal);
  }
  readiness.set(what, consumer.joined, 'joined');
  let ready = true;
  while (!signal.aborted) {
    await wait(1000, signal);
    const refusal = consumer.refusals[0] ?? '';
    const isReady = consumer.unassignedMs < OUT_OF_GROUP_MS && refusal === '';
    if (ready === isReady && refusal === '') continue;
    ready = isReady;
    const why = refusal || 'not in its group: no partitions were assigned for a while';
    readiness.set(what, ready, ready ? 'joined' : why);
  }
}

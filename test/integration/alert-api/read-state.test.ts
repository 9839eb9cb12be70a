import assert from 'node:assert/strict';
import test from 'node:test';
import type { StreamAlertsResponse__Output } from '../../../services/gen/types.js';
import { alertRequest } from '../../support/alerts.js';
import { loadDirectory, user } from '../../support/directory.js';
import { startTestCluster } from '../../support/in-process.js';
import { assertFoldEqualsInbox, collectStream, Folded } from '../../support/stream.js';

const USER = 'devices';
const AS = { user: USER };
const ROUNDS = 20;

/** Notes when each number arrived. */
class TimedFolded extends Folded {
  readonly arrivedAt = new Map<number, number>();

  override take(response: StreamAlertsResponse__Output): void {
    for (const { sequence } of response.changes) this.arrivedAt.set(sequence, performance.now());
    super.take(response);
  }
}

/** Milliseconds, median and 95th percentile. */
function spread(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!.toFixed(1);
  return `p50 ${at(0.5)} ms, p95 ${at(0.95)} ms`;
}

test("what one device reads or deletes shows on the user's others, on either gateway, in sequence", async (t) => {
  // Without healing: what comes does so because Kafka brought it.
  const cluster = await startTestCluster(t, { STREAM_HEAL_INTERVAL_MS: '600000' });
  const api = cluster.api(await cluster.start('alert-api'));
  await cluster.start('fanout');
  await cluster.start('delivery');
  const [one, other] = [await cluster.start('stream-gateway'), await cluster.start('stream-gateway')];
  await loadDirectory(api, [user(USER, 'ELSEWHERE')]);
  const folds = [one, one, other].map(() => new TimedFolded());
  const devices = await Promise.all(
    [one, one, other].map((gateway, index) => collectStream(t, cluster.api(gateway), AS, {}, folds[index]).untilLive()),
  );
  const times = new Map<string, number[]>();
  let last = 0;
  /** Does something that makes `changes` changes, and waits until every device has shown them. */
  const shown = async <T>(name: string, changes: number, act: () => Promise<T>): Promise<T> => {
    const startedAt = performance.now();
    const answer = await act();
    last += changes;
    for (const device of devices)
      await device.until(() => device.folded.sequence >= last, `number ${last} by ${name}`, 15_000);
    const arrivals = folds.map(({ arrivedAt }) => arrivedAt.get(last)!);
    times.set(name, [...(times.get(name) ?? []), Math.max(...arrivals) - startedAt]);
    return answer;
  };
  const create = async () => {
    const { alert } = await api.call('CreateAlert', alertRequest({ recipients: { userIds: [USER] } }));
    return alert!.alertId;
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    const first = await shown('new alert', 1, create);
    const second = await shown('new alert', 1, create);
    await shown('MarkRead', 1, () => api.call('MarkRead', { alertIds: [first] }, AS));
    await shown('MarkUnread', 1, () => api.call('MarkUnread', { alertIds: [first] }, AS));
    await shown('MarkAllRead', 2, () => api.call('MarkAllRead', {}, AS));
    await shown('DeleteFromInbox', 1, () => api.call('DeleteFromInbox', { alertIds: [second] }, AS));
  }
  for (const [name, measured] of times) t.diagnostic(`${name}: ${spread(measured)} to the last of three devices`);
  const round = ['CREATED', 'CREATED', 'READ', 'UNREAD', 'READ', 'READ', 'DELETED'];
  const wanted = Array.from({ length: ROUNDS }, () => round.map((type) => `INBOX_CHANGE_TYPE_${type}`)).flat();
  for (const folded of folds) {
    assert.deepEqual(
      folded.changes.map(({ sequence, type }) => `${sequence} ${type}`),
      wanted.map((type, index) => `${index + 1} ${type}`),
    );
    await assertFoldEqualsInbox(api, USER, folded);
  }
});

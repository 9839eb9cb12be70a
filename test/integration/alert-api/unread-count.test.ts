import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { StreamAlertsRequest } from '../../../services/gen/types.js';
import { alertRequest } from '../../support/alerts.js';
import type { TestApi } from '../../support/api.js';
import { loadDirectory, user } from '../../support/directory.js';
import { startTestCluster } from '../../support/in-process.js';
import { InboxHistory, keepHistory } from '../../support/inbox-history.js';
import { Random } from '../../support/random.js';
import { type CollectedStream, collectStream, Folded, listWholeInbox } from '../../support/stream.js';
import { type KnownAlert, type RecordFilter, StreamRecord } from '../../support/stream-record.js';
import { untilTrue } from '../../support/until-true.js';

const USER = 'racer';
const AS = { user: USER };
const SEED = 20_261;
const CREATES = 100;
const READERS = 4;
const CHANGES_EACH = 60;

/** Reads, unreads and deletes at random; returns the unread counts that were answered, in order. */
async function change(api: TestApi, random: Random, alertIds: readonly number[]): Promise<number[]> {
  const counts: number[] = [];
  for (let done = 0; done < CHANGES_EACH; done += 1) {
    await untilTrue(() => alertIds.length > 0, { what: 'the first alert is acknowledged' });
    const picked = [...new Set(Array.from({ length: 5 }, () => random.pick(alertIds)))];
    const draw = random.next();
    const { unreadCount } =
      draw < 0.4
        ? await api.call('MarkRead', { alertIds: picked }, AS)
        : draw < 0.7
          ? await api.call('MarkUnread', { alertIds: picked }, AS)
          : draw < 0.9
            ? await api.call('DeleteFromInbox', { alertIds: picked.slice(0, 1) }, AS)
            : await api.call('MarkAllRead', {}, AS);
    counts.push(unreadCount);
  }
  return counts;
}

/** A stream from the beginning, and what it must have been in the end. */
function watch(t: TestContext, gateway: TestApi, filter: RecordFilter, epoch: number) {
  const request: StreamAlertsRequest = { start: 'STREAM_START_BEGINNING', filter, checkpointInterval: { seconds: 1 } };
  const stream = collectStream(t, gateway, AS, request, new Folded());
  const record = new StreamRecord(`${gateway.address} ${JSON.stringify(filter)}`, USER, filter, epoch);
  return { stream, record };
}

const recorded = ({ stream, record }: { stream: CollectedStream; record: StreamRecord }) => {
  for (const response of stream.responses.splice(0)) record.take(response);
  return record;
};

test('unread_count is right at every number while reads, deletions and new alerts race', async (t) => {
  // A small buffer overflows, so that streams also fall back to PostgreSQL in the middle of it.
  const cluster = await startTestCluster(t, { STREAM_PAGE_SIZE: '5', STREAM_BUFFER_MAX: '3' });
  const api = cluster.api(await cluster.start('alert-api'));
  await cluster.start('fanout');
  await cluster.start('delivery');
  const gateways = [await cluster.start('stream-gateway'), await cluster.start('stream-gateway')];
  const screens = gateways.map((gateway) => cluster.api(gateway));
  await loadDirectory(api, [user(USER, 'ELSEWHERE')]);
  await keepHistory(cluster.store.sql);
  const [state] = await cluster.store.sql<{ epoch: number }>('SELECT epoch FROM service_state');
  const open = (filter: RecordFilter) => screens.map((screen) => watch(t, screen, filter, state!.epoch));
  const streams = [...open({}), ...open({}), ...open({ unreadOnly: true }), ...open({ kinds: ['ALERT_KIND_ISSUE'] })];

  const random = new Random(SEED);
  const alerts = new Map<number, KnownAlert>();
  const alertIds: number[] = [];
  const create = async () => {
    for (let done = 0; done < CREATES; done += 1) {
      const kind = random.pick(['ALERT_KIND_ISSUE', 'ALERT_KIND_GRAFANA'] as const);
      const level = 'ALERT_LEVEL_ERROR';
      const { alert } = await api.call('CreateAlert', alertRequest({ kind, level, recipients: { userIds: [USER] } }));
      alerts.set(alert!.alertId, { kind, level });
      alertIds.push(alert!.alertId);
      // Whoever opens a stream now catches up while all of this goes on.
      if (done % 10 === 0) streams.push(watch(t, screens[done % 20 === 0 ? 0 : 1]!, {}, state!.epoch));
    }
  };
  const changes = Array.from({ length: READERS }, () => change(api, random.fork(), alertIds));
  const [answered] = await Promise.all([Promise.all(changes), create()]);

  const history = await untilTrue(
    async () => {
      const found = await InboxHistory.of(cluster.store.sql, USER);
      return found.created === CREATES ? found : undefined;
    },
    { timeoutMs: 30_000, what: 'every alert is delivered' },
  );
  for (const each of streams)
    await each.stream.until(() => recorded(each).position === history.length, 'the stream has seen everything', 30_000);
  for (const each of streams) assert.deepEqual(recorded(each).problems(history, alerts), []);

  // What a reader was answered is of a number behind the one of the answer before.
  for (const counts of answered) {
    let asOf = 0;
    for (const count of counts) {
      const found = history.firstWithUnread(count, asOf);
      assert.notEqual(found, undefined, `${count} unread was answered, and never so behind number ${asOf}`);
      asOf = found!;
    }
  }
  const inbox = await listWholeInbox(api, USER);
  const { unreadCount } = await api.call('GetUnreadCount', {}, AS);
  assert.equal(unreadCount, inbox.rows.filter(({ isRead }) => !isRead).length);
  assert.equal(inbox.unreadCount, unreadCount);
  assert.equal(history.unreadAt(history.length), unreadCount);
  for (const { stream } of streams) assert.equal(stream.folded.unreadCount, unreadCount);
});

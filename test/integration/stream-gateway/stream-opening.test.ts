import assert from 'node:assert/strict';
import test from 'node:test';
import type grpc from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import type { Database } from '../../../services/lib/postgres.js';
import { alertRequest } from '../../support/alerts.js';
import { loadDirectory, user } from '../../support/directory.js';
import { startTestCluster } from '../../support/in-process.js';
import { metricOf } from '../../support/metrics.js';
import { assertFoldEqualsInbox, collectStream } from '../../support/stream.js';
import { untilTrue } from '../../support/until-true.js';

const USER = 'hasty';
const AS = { user: USER };
const BEGINNING = { start: 'STREAM_START_BEGINNING' } as const;
const ALERTS = 12;
/** Pages of the whole inbox: 5, 5 and 2 changes. */
const PAGE = 5;
const PAGES = 3;

/** Holds one query of a gateway, when its answer is there, for as long as the test likes. */
class HeldQuery {
  /** Names of the queries since it was set. */
  readonly asked: string[] = [];
  #hold: { name: string; nth: number; reached: () => void; released: Promise<void> } | undefined;

  constructor(database: Database) {
    const query = database.query.bind(database);
    database.query = async (statement) => {
      const name = statement.name ?? '';
      this.asked.push(name);
      const nth = this.asked.filter((each) => each === name).length;
      const answer = await query(statement);
      if (this.#hold?.name === name && this.#hold.nth === nth) {
        this.#hold.reached();
        await this.#hold.released;
      }
      return answer as never;
    };
  }

  /** @returns whether the query is answered and held, and what lets it go on */
  hold(name: string, nth: number): { isHeld: () => boolean; release: () => void } {
    let isHeld = false;
    const reached = () => (isHeld = true);
    let release!: () => void;
    const released = new Promise<void>((resolve) => (release = resolve));
    this.asked.length = 0;
    this.#hold = { name, nth, reached, released };
    return { isHeld: () => isHeld, release };
  }

  count(name: string): number {
    return this.asked.filter((each) => each === name).length;
  }
}

/**
 * Resolves when the server has read everything that this client sent before: it answers in the order of the connection.
 */
async function heard(client: grpc.Client): Promise<void> {
  const { path, requestSerialize, responseDeserialize } = healthService['Check']!;
  await new Promise<void>((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, { service: '' }, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

test('a client that goes away at any stage of its opening leaves nothing behind', async (t) => {
  // Neither healing nor Kafka ask anything while a query is held.
  const cluster = await startTestCluster(t, {
    STREAM_PAGE_SIZE: String(PAGE),
    STREAM_HEAL_INTERVAL_MS: '600000',
    // Fewer than the inbox has, so that contents are loaded each time.
    ALERT_CACHE_MAX: '10',
  });
  const api = cluster.api(await cluster.start('alert-api'));
  await cluster.start('fanout');
  await cluster.start('delivery');
  const gateway = await cluster.start('stream-gateway', { config: { streamCatchUpsMax: 1 } });
  const client = cluster.api(gateway);
  const { database } = gateway.runtime;
  const queries = new HeldQuery(database);
  await loadDirectory(api, [user(USER, 'ELSEWHERE'), user('other', 'ELSEWHERE')]);
  const requests = Array.from({ length: ALERTS }, () => alertRequest({ recipients: { userIds: [USER] } }));
  await api.call('BatchCreateAlerts', { requests });
  await untilTrue(async () => (await api.call('GetUnreadCount', {}, AS)).unreadCount === ALERTS, {
    what: 'the inbox is full',
  });
  const witness = await collectStream(t, client, { user: 'other' }).untilLive();

  const stages: readonly [stage: string, query: string, nth: number, pagesRead: number][] = [
    ['before anything is known of the user', 'stream-openings', 1, 0],
    ['while the first page is read', 'changes-after', 1, 1],
    ['while contents are loaded', 'find-alerts', 1, 1],
    ['between pages', 'changes-after', 2, 2],
    ['as it goes live', 'changes-after', PAGES, PAGES],
  ];
  for (const [stage, query, nth, pagesRead] of stages) {
    await t.test(stage, async (each) => {
      const { isHeld, release } = queries.hold(query, nth);
      const stream = collectStream(each, client, AS, BEGINNING);
      await untilTrue(isHeld, { what: () => `${query} is asked; there were ${queries.asked.join(' ')}` });
      await stream.cancel();
      await heard(client.client);
      release();
      const gauge = (name: string) => metricOf(gateway.http, `ssom_stream_${name}`);
      await untilTrue(async () => (await gauge('open')) === 1 && database.stats.idle === database.stats.total, {
        what: 'only the other stream is open, and every connection is back',
      });
      assert.equal(queries.count('changes-after'), pagesRead, 'pages were read for a client that had gone');
      assert.deepEqual(
        await Promise.all(['catch_up_waiting', 'buffered', 'pending_bytes'].map(gauge)),
        [0, 0, 0],
        'waiting, buffered, pending bytes',
      );
      // The one reader of this gateway is free, and others are served.
      const next = await collectStream(each, client, AS, BEGINNING).untilLive();
      await assertFoldEqualsInbox(api, USER, next.folded);
      await next.cancel();
    });
  }
  assert.equal(witness.hasEnded, false);
  const { alert } = await api.call('CreateAlert', alertRequest({ recipients: { userIds: ['other'] } }));
  await witness.untilAlerts([alert!.alertId]);
});

test('calls beyond the limit of a user ask nothing of PostgreSQL', async (t) => {
  const limit = 3;
  const cluster = await startTestCluster(t, { STREAMS_PER_USER_MAX: String(limit) });
  const api = cluster.api(await cluster.start('alert-api'));
  const gateway = await cluster.start('stream-gateway');
  const client = cluster.api(gateway);
  const queries = new HeldQuery(gateway.runtime.database);
  await loadDirectory(api, [user(USER, 'ELSEWHERE')]);
  const { isHeld, release } = queries.hold('stream-openings', 1);
  const streams = Array.from({ length: 50 }, () => collectStream(t, client, AS));
  await untilTrue(() => isHeld() && streams.filter(({ hasEnded }) => hasEnded).length === streams.length - limit, {
    what: 'all but three are refused',
  });
  assert.ok(queries.count('stream-openings') <= limit);
  release();
  await untilTrue(() => streams.filter(({ isLive }) => isLive).length === limit, { what: 'three are live' });
  for (const { error } of streams.filter(({ hasEnded }) => hasEnded))
    assert.equal(error!.reason, 'TOO_MANY_STREAMS_OF_USER');
  // Their places are free again.
  for (const stream of streams) await stream.cancel();
  await untilTrue(async () => (await metricOf(gateway.http, 'ssom_stream_open')) === 0, { what: 'no stream is open' });
  for (let count = 0; count < limit; count += 1) await collectStream(t, client, AS).untilLive();
});

import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { NO_ACCOUNT } from '../../../services/store/audit.js';
import { upsertUsers } from '../../../services/store/directory.js';
import { alertRequest } from '../../support/alerts.js';
import { type CallError, failureOf, type TestApi } from '../../support/api.js';
import { defer } from '../../support/defer.js';
import { user } from '../../support/directory.js';
import { type RunningRole, startTestCluster } from '../../support/in-process.js';
import { createTestDatabase } from '../../support/postgres.js';
import { collectStream } from '../../support/stream.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { patience, untilTrue } from '../../support/until-true.js';

/** On a busy machine an answer of a PostgreSQL that is there takes longer than a second too. */
const ACQUIRE_MS = Math.min(patience(1000), 4000);
/** What a statement that hangs takes: the server's time-out, and a second until it counts as lost. */
const STATEMENT_MS = 8 * ACQUIRE_MS;
const POOL_MAX = 16;
const AS_OP1 = { user: 'op1' };

interface Timed {
  readonly failure: CallError;
  readonly ms: number;
}

async function timed(call: Promise<unknown>): Promise<Timed> {
  const started = performance.now();
  return { failure: await failureOf(call), ms: performance.now() - started };
}

function assertUnavailable(failure: CallError, reason = /^DATABASE_UNAVAILABLE$/): void {
  assert.equal(failure.code, 'UNAVAILABLE', failure.message);
  assert.match(failure.reason, reason);
  assert.ok(failure.details.retryAfterMs! > 0, 'there is no RetryInfo');
}

/** The next time that the breaker opens: for a second then nothing is asked of PostgreSQL. */
function nextOpening({ runtime }: RunningRole): Promise<void> {
  return new Promise((resolve) => runtime.database.breaker.onOpen(resolve));
}

/**
 * A call all of which falls into the second that the breaker is open; one that comes later may be its trial, and hangs.
 */
function whileOpen(role: RunningRole, call: () => Promise<unknown>): Promise<Timed> {
  const { breaker } = role.runtime.database;
  return untilTrue(
    async () => {
      await nextOpening(role);
      let openings = 1;
      breaker.onOpen(() => (openings += 1));
      const answered = await timed(call());
      return breaker.state === 'open' && openings === 1 ? answered : undefined;
    },
    { timeoutMs: 60_000, what: 'a call is answered while the breaker is open' },
  );
}

async function setUp(t: TestContext) {
  const { url, database } = await createTestDatabase(t);
  await upsertUsers(database, [user('op1', 'OPERATION')], NO_ACCOUNT);
  const target = new URL(url);
  const proxy = await TcpProxy.listen(Number(target.port));
  defer(t, () => proxy.close());
  target.host = `127.0.0.1:${proxy.port}`;
  const cluster = await startTestCluster(t, {
    DATABASE_URL: target.href,
    // So many that what hangs besides (the outbox is looked at, for one) leaves the writers a connection each.
    DATABASE_POOL_MAX: String(POOL_MAX),
    STREAMS_PER_USER_MAX: '100',
    CALLS_PER_USER_MAX: '100',
    CALLS_PER_CALLER_MAX: '200',
    GRPC_CALLS_PER_CONNECTION_MAX: '400',
    DATABASE_ACQUIRE_TIMEOUT_MS: String(ACQUIRE_MS),
    DATABASE_STATEMENT_TIMEOUT_MS: String(STATEMENT_MS - 1000),
  });
  const role = await cluster.start('alert-api');
  const gateway = await cluster.start('stream-gateway');
  // Before the roles end, which would wait for what hangs.
  defer(t, () => proxy.close());
  return { cluster, proxy, role, gateway, api: cluster.api(role), streams: cluster.api(gateway) };
}

const create = (api: TestApi) => api.call('CreateAlert', alertRequest());
const list = (api: TestApi) => api.call('ListInbox', {}, AS_OP1);

/** What operators see of the breaker: the metric, and the entry of /readyz. */
async function shown({ runtime }: RunningRole): Promise<() => Promise<{ metric: string; readyz: unknown }>> {
  const { address } = await runtime.serveHttp('127.0.0.1:0');
  const read = async (path: string) => (await fetch(`http://${address}${path}`)).text();
  return async () => {
    const metrics = await read('/metrics');
    const { checks } = JSON.parse(await read('/readyz')) as { checks: Record<string, unknown> };
    const metric = /^ssom_breaker_state\{[^}]*name="postgresql"[^}]*\} (\d)/m.exec(metrics)?.[1] ?? 'absent';
    return { metric, readyz: checks['circuit breaker postgresql'] };
  };
}

test('a PostgreSQL that swallows everything: callers wait for a time-out until the breaker opens, then nobody does', async (t) => {
  const { cluster, proxy, role, gateway, api, streams } = await setUp(t);
  const look = await shown(role);
  const errors = t.mock.method(role.runtime.logger, 'error');
  const queries = t.mock.method(role.runtime.database, 'query');
  const inserts = () =>
    queries.mock.calls.filter(({ arguments: [statement] }) => statement?.text.includes('INSERT INTO alerts ')).length;
  const stream = () =>
    collectStream(t, streams, AS_OP1)
      .untilRefused(15_000)
      .then((failure) => {
        throw failure;
      });
  await create(api);
  // As many connections as the pools may have: what hangs then is a statement, not a connect.
  await Promise.all(Array.from({ length: 10 }, () => list(api)));
  const { database, bulkDatabase } = role.runtime;
  const open = { text: 'SELECT pg_sleep(0.2)' };
  await Promise.all(Array.from({ length: POOL_MAX }, () => [database.query(open), bulkDatabase.query(open)]).flat());
  assert.deepEqual(await look(), { metric: '0', readyz: undefined });

  const { breaker } = role.runtime.database;
  const opened = nextOpening(role);
  const before = inserts();
  // Packets vanish both ways, and what is open now stays dead.
  proxy.halfOpen();
  proxy.silence();
  const underWay: Promise<Timed>[] = [];
  for (const writers of [1, 2]) {
    underWay.push(timed(create(api)));
    await untilTrue(() => inserts() === before + writers, { intervalMs: 1, what: `${writers} writers are at work` });
  }
  const queued = Array.from({ length: 5 }, () => timed(create(api)));
  // More failures than there were successes within the breaker's window.
  const lists = Array.from({ length: 80 }, () => timed(list(api)));
  const streaming = Array.from({ length: 40 }, () => timed(stream()));
  await opened;
  for (const { failure, ms } of await Promise.all(queued)) {
    assertUnavailable(failure);
    assert.ok(ms < STATEMENT_MS / 2, `one that waited for a writer took ${Math.round(ms)} ms`);
  }
  await untilTrue(
    () =>
      errors.mock.calls.some(({ arguments: [fields, line] }) => {
        const named = (fields as { name?: string }).name === 'postgresql';
        return named && /circuit breaker open/.test(String(line));
      }),
    { what: 'a log line says so' },
  );

  for (const [opener, call] of [
    [role, () => create(api)],
    [role, () => list(api)],
    [gateway, stream],
  ] as const) {
    const { failure, ms } = await whileOpen(opener, call);
    assertUnavailable(failure);
    assert.ok(ms < ACQUIRE_MS / 2, `${failure.message} took ${Math.round(ms)} ms while the breaker was open`);
  }
  await nextOpening(role);
  const { metric, readyz } = await look();
  assert.equal(metric, '2');
  assert.deepEqual(readyz, { ok: false, reason: 'open', required: false });

  // Its trial hangs: for all others it is as good as open, and a scrape that falls into that time must say so.
  let openings = 0;
  breaker.onOpen(() => (openings += 1));
  const isTried = () => breaker.state === 'half-open' && breaker.shownState === 'open';
  const scraped = async () => {
    const before = openings;
    if (!isTried()) return undefined;
    const { metric: tried } = await look();
    return isTried() && openings === before ? tried : undefined;
  };
  const options = { timeoutMs: 30_000, what: 'a scrape while the trial hangs' };
  assert.equal(await untilTrue(scraped, options), '2');

  // Who waited for a connection in vain while nobody knew why heard that all are in use.
  for (const { failure } of await Promise.all([...lists, ...streaming]))
    assertUnavailable(failure, /^DATABASE_(UNAVAILABLE|BUSY)$/);
  for (const { failure, ms } of await Promise.all(underWay)) {
    assertUnavailable(failure);
    assert.ok(
      ms > STATEMENT_MS / 2,
      `what was under way has waited for its time-out: ${Math.round(ms)} ms, ${failure.reason} ${failure.message}`,
    );
  }

  proxy.heal();
  for (const { runtime } of [role, gateway]) {
    await untilTrue(() => runtime.database.breaker.state === 'closed', {
      what: `the breaker of ${runtime.role} closes by itself`,
    });
  }
  assert.equal(breaker.state, 'closed');
  await create(api);
  await list(api);
  await collectStream(t, cluster.api(gateway), AS_OP1).untilLive();
  const after = await look();
  assert.deepEqual(after, { metric: '0', readyz: { ok: true, reason: 'closed', required: false } });
});

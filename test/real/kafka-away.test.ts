import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { AlertClient } from '../../services/client/client.js';
import { sorted } from '../support/expected.js';
import { alertFor, loadDirectory, people, serviceClient } from '../support/people.js';
import { readTopic } from '../support/raw-kafka.js';
import type { RoleProcess } from '../support/role-process.js';
import { Stack, startBroker, whySkip } from '../support/stack.js';
import { until } from '../support/until-true.js';

const OUTBOX_MAX = 3000;
const SWEEP_MS = 200;
const BATCH = 100;
/** As large as an alert with a stack trace: the backlog takes some seconds to publish. */
const MESSAGE = 'x'.repeat(8000);

describe('Kafka away', { skip: whySkip() }, () => {
  const team = people('away', 2, 'AWAY');
  let stack: Stack;
  let alertApi: RoleProcess;
  let client: AlertClient;
  /** The alerts that were taken while Kafka was away, and by which call. */
  const old = new Map<number, number>();
  let calls = 0;

  before(async () => {
    stack = await Stack.start();
    const roles = stack.roles({
      OUTBOX_MAX: String(OUTBOX_MAX),
      // Nearly all of the backlog is the sweeper's.
      RELAY_IN_FLIGHT_MAX: '100',
      OUTBOX_SWEEP_INTERVAL_MS: String(SWEEP_MS),
      OUTBOX_SWEEP_AFTER_MS: '0',
    });
    alertApi = await roles.start('alert-api').ready();
    client = await serviceClient(alertApi);
    await loadDirectory(client, team);
  });

  after(async () => {
    client?.close();
    await stack?.stop();
  });

  const request = (title: string) => alertFor([team[0]!.userId], title, { message: MESSAGE });
  const unpublished = async () =>
    (await stack.database.query<{ n: string }>('SELECT count(*) AS n FROM outbox')).rows.map(({ n }) => Number(n))[0]!;

  it('leaves CreateAlert going, up to OUTBOX_MAX alerts; then UNAVAILABLE with RetryInfo', async () => {
    await until('Kafka is used', async () => (await alertApi.readiness()).checks['kafka']?.ok === true);
    await stack.kafka.stop();
    for (let refused = false; !refused;) {
      const { results } = await client.batchCreateAlerts({
        requests: Array.from({ length: BATCH }, (_, index) => request(`old ${old.size + index}`)),
      });
      for (const { response, error } of results) {
        if (response?.alert) old.set(response.alert.alertId, calls);
        else assert.equal(error?.reason, 'OUTBOX_FULL');
      }
      calls += 1;
      refused = results.some(({ response }) => !response?.alert);
      assert.ok(old.size < 3 * OUTBOX_MAX, `${old.size} alerts were taken, with a bound of ${OUTBOX_MAX}`);
    }
    assert.ok(old.size >= OUTBOX_MAX, `refused at ${old.size}`);
    await assert.rejects(client.createAlert(request('one more'), { attempts: 1 }), (error: object) => {
      const { code, reason, retryAfterMs } = error as Record<string, unknown>;
      assert.deepEqual({ code, reason }, { code: 'UNAVAILABLE', reason: 'OUTBOX_FULL' });
      assert.ok(Number(retryAfterMs) > 0, 'there is no RetryInfo');
      return true;
    });
    assert.equal(await unpublished(), old.size);
    assert.ok(alertApi.line(/outbox is full/), 'the log does not say that the outbox is full');
  });

  it('is caught up with in order of age when Kafka is back, and new alerts are taken meanwhile', async (t) => {
    stack.kafka = await startBroker(stack.dir, stack.kafka);
    const fresh: number[] = [];
    while ((await unpublished()) > 0) {
      // One that is refused for now is not counted; nobody waits for it.
      const creating = client.createAlert(request(`new ${fresh.length}`), { attempts: 1 });
      const alertId = await creating.then(
        ({ alert }) => alert!.alertId,
        (error: { reason?: string }) => {
          assert.equal(error.reason, 'OUTBOX_FULL');
          return undefined;
        },
      );
      if (alertId !== undefined) fresh.push(alertId);
    }
    assert.ok(alertApi.line(/has room again/), 'the log does not say that the outbox has room');
    const { partitions, records } = await readTopic(stack.kafka.bootstrap, 'alert-created-topic');
    const ids = records.map(({ key }) => Number(key.toString()));
    assert.deepEqual(sorted([...new Set(ids)]), sorted([...old.keys(), ...fresh]));
    let overtaken = 0;
    for (let partition = 0; partition < partitions; partition += 1) {
      const inOrder = records
        .filter((record) => record.partition === partition)
        .sort((a, b) => a.offset - b.offset)
        .map(({ key }) => Number(key.toString()));
      // The alerts of one call are stored by several statements at once, so that they have no order among each other.
      const ages = inOrder.flatMap((alertId) => old.get(alertId) ?? []);
      assert.deepEqual(ages, sorted(ages), `the order of age in partition ${partition}`);
      const firstNew = inOrder.findIndex((alertId) => !old.has(alertId));
      if (firstNew >= 0) overtaken += inOrder.slice(firstNew).filter((alertId) => old.has(alertId)).length;
    }
    // None at all, where the machine has swept everything before it sees that there is room.
    t.diagnostic(`new alerts arrived before ${overtaken} of ${old.size} old ones`);
  });
});

import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { Database } from '../../../services/lib/postgres.js';
import { insertAlerts } from '../../../services/store/alerts.js';
import { NO_ACCOUNT } from '../../../services/store/audit.js';
import { directoryVersion, setRoutingRules, upsertUsers } from '../../../services/store/directory.js';
import { RecipientResolver } from '../../../services/store/recipient-resolver.js';
import { newAlert } from '../../support/alerts.js';
import { storeDirectory, user } from '../../support/directory.js';
import { createTestDatabase } from '../../support/postgres.js';

async function stored(database: Database, request: Parameters<typeof newAlert>[0] = {}): Promise<number> {
  const [result] = await insertAlerts(database, [newAlert(request)]);
  assert.ok(result?.outcome === 'stored');
  return result.alertId;
}

async function setUp(t: TestContext) {
  const store = await createTestDatabase(t);
  await storeDirectory(store.database);
  /** As a process sees it that starts only now. */
  const recipientsOf = async (alertId: number) =>
    [...((await new RecipientResolver(store.database).recipientsOf([alertId])).get(alertId) ?? [])].sort();
  return { ...store, recipientsOf };
}

test('an alert keeps the recipients of its version, whatever happens before its fan-out', async (t) => {
  const { database, recipientsOf } = await setUp(t);
  const routed = await stored(database);
  const department = await stored(database, { recipients: { departments: ['OPERATION'] } });
  const named = await stored(database, { recipients: { userIds: ['op2'], githubLogins: ['core-one'] } });
  await upsertUsers(
    database,
    [
      user('op1', 'CHANNEL', { githubLogin: 'Op-One' }),
      user('op2', 'OPERATION', { active: false }),
      user('op9', 'OPERATION'),
      user('core1', 'CORE_BANK', { githubLogin: 'renamed' }),
    ],
    NO_ACCOUNT,
  );
  await setRoutingRules(database, [{ department: 'CHANNEL', match: 'ALL', appPattern: '' }], NO_ACCOUNT);
  assert.deepEqual(await recipientsOf(routed), ['core1', 'core2', 'ext1', 'op1', 'op2']);
  assert.deepEqual(await recipientsOf(department), ['op1', 'op2']);
  assert.deepEqual(await recipientsOf(named), ['core1', 'op2']);
  assert.deepEqual(await recipientsOf(await stored(database)), ['chan1', 'chan2', 'op1']);
  const later = await stored(database, { recipients: { departments: ['OPERATION'] } });
  assert.deepEqual(await recipientsOf(later), ['op9']);
});

test('every change makes one version, and one that changes nothing makes none', async (t) => {
  const { database } = await setUp(t);
  const version = await directoryVersion(database);
  assert.equal(await upsertUsers(database, [user('op2', 'OPERATION')], NO_ACCOUNT), version);
  assert.equal(await upsertUsers(database, [user('n1', 'X'), user('n2', 'X')], NO_ACCOUNT), version + 1);
  assert.equal(await setRoutingRules(database, [], NO_ACCOUNT), version + 2);
  assert.equal(await setRoutingRules(database, [], NO_ACCOUNT), version + 2);
  assert.equal(await directoryVersion(database), version + 2);
});

test('changes at once take their versions one after the other', async (t) => {
  const { database, sql } = await setUp(t);
  const version = await directoryVersion(database);
  const versions = await Promise.all(
    Array.from({ length: 10 }, (_, index) => upsertUsers(database, [user(`p${index}`, 'P')], NO_ACCOUNT)),
  );
  assert.deepEqual(
    versions.sort((a, b) => a - b),
    Array.from({ length: 10 }, (_, index) => version + 1 + index),
  );
  assert.deepEqual(await sql("SELECT count(*) AS n FROM users WHERE department = 'P' AND valid_to IS NULL"), [
    { n: 10 },
  ]);
});

test('a login that is taken refuses the whole change; swapping two within one change is one', async (t) => {
  const { database, sql } = await setUp(t);
  const version = await directoryVersion(database);
  await assert.rejects(
    upsertUsers(database, [user('new', 'X'), user('op2', 'OPERATION', { githubLogin: 'OP-ONE' })], NO_ACCOUNT),
    /users_login/,
  );
  assert.equal(await directoryVersion(database), version);
  assert.deepEqual(await sql("SELECT 1 FROM users WHERE user_id = 'new'"), []);
  await upsertUsers(
    database,
    [user('op1', 'OPERATION', { githubLogin: 'core-one' }), user('core1', 'CORE_BANK', { githubLogin: 'Op-One' })],
    NO_ACCOUNT,
  );
  const alertId = await stored(database, { recipients: { githubLogins: ['op-one'] } });
  assert.deepEqual((await new RecipientResolver(database).recipientsOf([alertId])).get(alertId), ['core1']);
});

test('alerts stored while the directory changes belong to one version, not to a mixture', async (t) => {
  const { database } = await setUp(t);
  const change = async () => {
    for (let round = 0; round < 15; round += 1) {
      await upsertUsers(
        database,
        [user('op1', round % 2 === 0 ? 'CHANNEL' : 'OPERATION', { githubLogin: 'Op-One' })],
        NO_ACCOUNT,
      );
    }
  };
  const create = async () => {
    const ids: number[] = [];
    for (let round = 0; round < 40; round += 1) {
      ids.push(await stored(database, { recipients: { departments: ['OPERATION', 'CHANNEL'] } }));
    }
    return ids;
  };
  const [ids] = await Promise.all([create(), change()]);
  const recipients = await new RecipientResolver(database).recipientsOf(ids);
  for (const alertId of ids)
    assert.deepEqual([...recipients.get(alertId)!].sort(), ['chan1', 'chan2', 'op1', 'op2'], String(alertId));
});

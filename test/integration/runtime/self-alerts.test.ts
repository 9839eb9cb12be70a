import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { raiseAlarms } from '../../../services/launch/self-alerts.js';
import type { Stage } from '../../../services/runtime/alarms.js';
import { alertRequest } from '../../support/alerts.js';
import { loadDirectory } from '../../support/directory.js';
import { startTestCluster } from '../../support/in-process.js';
import { readPage } from '../../support/metrics-page.js';
import { startMtlsCluster } from '../../support/mtls-cluster.js';
import { token } from '../../support/tokens.js';
import { untilTrue } from '../../support/until-true.js';

/** Nobody listens there. */
const NOWHERE = '127.0.0.1:1';

/** alert-api with two roles that raise alarms there. */
async function setUp(t: TestContext, address?: string) {
  const cluster = await startTestCluster(t);
  const alertApi = await cluster.start('alert-api');
  const api = cluster.api(alertApi);
  await loadDirectory(api);
  const roles = await Promise.all(['one', 'two'].map(() => cluster.start('push', { ready: false })));
  for (const { runtime } of roles) raiseAlarms(runtime, address ?? alertApi.address);
  // As a role does it when something took so long.
  const alarm = (rest: { stage?: Stage; alertIds?: number[]; traceId?: string; role?: number } = {}) => {
    const { stage = 'push', alertIds = [], traceId = '', role = 0 } = rest;
    const traceparent = traceId === '' ? undefined : `00-${traceId}-${'1'.repeat(16)}-01`;
    roles[role]!.runtime.alarms.processed(stage, 60_000, () => ({ alertIds, traceparent }));
  };
  /** How many alarms had this outcome so far. */
  const outcomes = async (outcome: string) => {
    const pages = await Promise.all(
      roles.map(async ({ http }) => readPage(await (await fetch(`http://${http}/metrics`)).text())),
    );
    return pages
      .flatMap((page) => page.get('ssom_self_alerts_total')!.samples)
      .filter(({ labels }) => labels['outcome'] === outcome)
      .reduce((sum, { value }) => sum + value, 0);
  };
  const until = (outcome: string, count: number) =>
    untilTrue(async () => (await outcomes(outcome)) === count, { what: `${count} ${outcome}` });
  const raised = async () =>
    (await api.call('ListAlerts', {})).alerts.filter(({ appName }) => appName === 'ssom-alert');
  return { cluster, api, alarm, until, raised, outcomes };
}

test('one alert to OPERATION is raised for a cause in a period, however many processes see it', async (t) => {
  const { cluster, alarm, until, raised } = await setUp(t);
  const traceId = 'd'.repeat(32);
  alarm({ traceId });
  await until('raised', 1);
  alarm();
  alarm({ role: 1 });
  alarm({ role: 1 });
  await until('limited', 3);
  const alerts = await raised();
  assert.equal(alerts.length, 1);
  const [alert] = alerts;
  assert.deepEqual([alert!.kind, alert!.level, alert!.title], ['ALERT_KIND_OTHER', 'ALERT_LEVEL_WARNING', 'slow push']);
  assert.deepEqual(alert!.labels, { cause: 'slow push', role: 'push', trace_id: traceId });
  const departments = await cluster.store.sql<{ departments: string[] }>('SELECT departments FROM alerts');
  assert.deepEqual(departments, [{ departments: ['OPERATION'] }]);
});

test('a process that found it raised by another raises the next one when the period of that one is over', async (t) => {
  const { cluster, alarm, until, raised, outcomes } = await setUp(t);
  alarm();
  await until('raised', 1);
  // As if that had been in the period before, and nearly a period ago.
  await cluster.store.sql(`
    UPDATE alerts SET request_id = 'slow push ' || (substring(request_id FROM '\\d+$')::bigint - 1),
      created_at = created_at - interval '599 seconds'`);
  const again = async () => {
    alarm({ role: 1 });
    return (await outcomes('raised')) === 2;
  };
  await untilTrue(again, { intervalMs: 100, what: 'another one' });
  assert.equal((await raised()).length, 2);
});

test('slow processing of nothing but such alerts raises none; together with another alert it does', async (t) => {
  const { api, alarm, until, raised } = await setUp(t);
  alarm();
  await until('raised', 1);
  const [own] = await raised();
  const alertIds = [own!.alertId];
  for (const [index, stage] of (['delivery', 'fanout'] as const).entries()) {
    alarm({ stage, alertIds, role: 1 });
    await until('own', index + 1);
  }
  assert.equal((await raised()).length, 1);
  const { alert: other } = await api.call('CreateAlert', alertRequest());
  alarm({ stage: 'delivery', alertIds: [...alertIds, other!.alertId], role: 1 });
  await until('raised', 2);
});

test('an alert-api that is away costs nothing: alarms return at once, and each cause has one call on its way', async (t) => {
  const { alarm, until, raised } = await setUp(t, NOWHERE);
  for (let count = 0; count < 1000; count += 1) alarm();
  await until('failed', 1);
  await until('limited', 999);
  assert.deepEqual(await raised(), []);
});

test('with TLS they are raised with a token, or with a certificate that says the name', async (t) => {
  const ours = 'spiffe://ssom/alert-service';
  const services = { [ours]: { service: 'ssom-alert', scopes: ['alerts:create'] } };
  const { certificates, cluster, file, key, tls } = await startMtlsCluster(t, services);
  const alertApi = await cluster.start('alert-api', { tls });
  const address = alertApi.address.replace('127.0.0.1', 'localhost');
  const own = certificates.clientNamed(ours);
  const config = {
    selfAlerts: true,
    selfAlertCaFile: await file('authority.pem', certificates.authority),
    selfAlertCertFile: await file('own.pem', own.certificate),
    selfAlertKeyFile: await file('own-key.pem', own.key),
  };
  const watchdog = await token(key, 'watchdog', 'alerts:create', { claims: { client_id: 'watchdog' } });
  const callers = async () =>
    (await cluster.store.sql<{ caller: string }>('SELECT caller FROM alerts')).map(({ caller }) => caller);
  for (const [selfAlertTokenFile, caller] of [
    ['', 'ssom-alert'],
    [await file('token', watchdog), 'watchdog'],
  ] as const) {
    const { runtime } = await cluster.start('push', { ready: false, config: { ...config, selfAlertTokenFile } });
    raiseAlarms(runtime, address);
    runtime.alarms.processed('push', 60_000, () => ({ alertIds: [], traceparent: undefined }));
    await untilTrue(async () => (await callers()).includes(caller), { what: `an alert of ${caller}` });
  }
});

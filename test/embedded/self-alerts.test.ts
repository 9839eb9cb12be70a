import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { alertRequest } from '../support/alerts.js';
import { storeDirectory } from '../support/directory.js';
import { metricOf } from '../support/metrics.js';
import { createTestDatabase } from '../support/postgres.js';
import { startStandalone } from '../support/standalone.js';
import { untilTrue } from '../support/until-true.js';

/** Whatever takes longer than a millisecond is slow: each batch of delivery, which waits for a commit. */
async function startImpatient(t: TestContext, env: Readonly<Record<string, string>> = {}) {
  const store = await createTestDatabase(t);
  // Before the start, in which something may be slow already.
  await storeDirectory(store.database);
  const service = await startStandalone(t, {
    env: { DATABASE_URL: store.url, ALERT_MONITORING_SLOW_PROCESSING_MS: '1', ...env },
  });
  const api = service.api();
  const inbox = async (user: string) =>
    (await api.call('ListInbox', {}, { user })).entries.map((entry) => entry.alert!);
  return { service, api, inbox };
}

test('slow processing is logged with its alerts, counted, and raises an alert to OPERATION once', async (t) => {
  const { service, api, inbox } = await startImpatient(t, { ALERT_MONITORING_SELF_ALERTS: 'true' });
  const ours = async () => (await inbox('op1')).filter(({ title }) => title === 'slow delivery');
  const linesOfDelivery = () =>
    service.process.stderr
      .split('\n')
      .filter((line) => line.includes('slow processing'))
      .map((line) => JSON.parse(line) as { stage: string; alerts: number[] })
      .filter(({ stage, alerts }) => stage === 'delivery' && alerts.length > 0);
  const alertIds: number[] = [];
  await untilTrue(
    async () => {
      const { alert } = await api.call('CreateAlert', alertRequest({ recipients: { userIds: ['chan1'] } }));
      alertIds.push(alert!.alertId);
      return linesOfDelivery().some(({ alerts }) => alertIds.includes(alerts[0]!)) && (await ours()).length > 0;
    },
    { intervalMs: 200, what: () => `a line, and an alert to op1: ${service.output}` },
  );
  const [raised] = await ours();
  assert.deepEqual([raised!.kind, raised!.appName], ['ALERT_KIND_OTHER', 'ssom-alert']);
  assert.ok((await metricOf(service.http, 'ssom_slow_total')) > 0);
  // The delivery of that one was as slow, and so is the next one's: still one for each cause.
  const { alert } = await api.call('CreateAlert', alertRequest({ recipients: { userIds: ['op1'] } }));
  const arrived = async () => (await inbox('op1')).some(({ alertId }) => alertId === alert!.alertId);
  await untilTrue(arrived, { what: 'the next alert' });
  assert.equal((await ours()).length, 1);
});

test('nothing is raised unless that is turned on', async (t) => {
  const { service, api, inbox } = await startImpatient(t);
  const { alert } = await api.call('CreateAlert', alertRequest());
  const arrived = async () => (await inbox('op1')).some(({ alertId }) => alertId === alert!.alertId);
  await untilTrue(arrived, { what: 'the alert' });
  const slow = async () => (await metricOf(service.http, 'ssom_slow_total')) > 0;
  await untilTrue(slow, { what: 'something is slow' });
  assert.equal(await metricOf(service.http, 'ssom_self_alerts_total'), 0);
  assert.equal((await api.call('ListAlerts', {})).alerts.length, 1);
});

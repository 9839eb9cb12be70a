import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import test from 'node:test';
import type { CreateAlertRequest } from '../../services/gen/types.js';
import { alertRequest, sampleAlerts } from '../support/alerts.js';
import { loadDirectory, type SampleDirectory, sampleDirectory } from '../support/directory.js';
import { createTestDatabase } from '../support/postgres.js';
import { startStandalone } from '../support/standalone.js';
import { listWholeInbox } from '../support/stream.js';
import { untilTrue } from '../support/until-true.js';

/** Who must receive an alert, computed anew from the description of the rules. */
function recipientsOf({ appName, recipients }: CreateAlertRequest, { users }: SampleDirectory): string[] {
  const lower = (list: readonly string[] | undefined) => (list ?? []).map((text) => text.toLowerCase());
  const logins = lower(recipients?.githubLogins);
  const bank = appName!.toLowerCase().includes('ssok-bank');
  const routed = ['OPERATION', 'EXTERNAL', bank ? 'CORE_BANK' : 'CHANNEL'];
  return users
    .filter(({ active, userId, department, githubLogin }) => {
      if (!active) return false;
      if (recipients === undefined || recipients === null) return routed.includes(department);
      return (
        recipients.userIds?.includes(userId) === true ||
        recipients.departments?.includes(department) === true ||
        (githubLogin !== '' && logins.includes(githubLogin.toLowerCase()))
      );
    })
    .map(({ userId }) => userId)
    .sort();
}

interface IssueEvent {
  readonly action: string;
  readonly issue: {
    readonly title: string;
    readonly html_url: string;
    readonly body: string | null;
    readonly assignees: readonly { readonly login: string }[];
  };
  readonly repository: { readonly full_name: string };
}

/** The examples of GitHub's `issues` event. */
function issueEvents(): IssueEvent[] {
  const events = createRequire(import.meta.url)('@octokit/webhooks-examples/api.github.com/index.json') as {
    name: string;
    examples: unknown[];
  }[];
  return events.find(({ name }) => name === 'issues')!.examples as IssueEvent[];
}

test('the sample', async (t) => {
  const store = await createTestDatabase(t);
  const service = await startStandalone(t, { env: { DATABASE_URL: store.url } });
  const api = service.api();
  const directory = sampleDirectory();
  const alerts = sampleAlerts();
  assert.equal(directory.users.length, 40);
  assert.equal(alerts.length, 300);
  await loadDirectory(api, directory.users, directory.routingRules);
  const expected = new Map<string, number[]>(directory.users.map(({ userId }) => [userId, []]));

  await t.test('300 alerts fit into one batch, and a second one replays them all', async () => {
    const { results } = await api.call('BatchCreateAlerts', { requests: alerts });
    results.forEach(({ response, error }, index) => {
      assert.ok(response, `line ${index + 1}: ${error?.message}`);
      assert.equal(response.alert!.title, alerts[index]!.title);
      for (const userId of recipientsOf(alerts[index]!, directory)) expected.get(userId)!.push(response.alert!.alertId);
    });
    const again = await api.call('BatchCreateAlerts', { requests: alerts });
    assert.ok(again.results.every(({ response }) => response?.replayed === true));
    assert.deepEqual(
      again.results.map(({ response }) => response!.alert!.alertId),
      results.map(({ response }) => response!.alert!.alertId),
    );
  });

  await t.test('every inbox holds what the rules say, and nothing else', async () => {
    const total = [...expected.values()].reduce((sum, list) => sum + list.length, 0);
    assert.ok(total > 3000);
    await untilTrue(
      async () => (await store.sql<{ n: number }>('SELECT count(*) AS n FROM alert_statuses'))[0]!.n >= total,
      { timeoutMs: 30_000, what: `${total} deliveries` },
    );
    for (const { userId, active } of directory.users) {
      if (!active) {
        assert.deepEqual(expected.get(userId), []);
        continue;
      }
      const { rows, unreadCount } = await listWholeInbox(api, userId);
      assert.deepEqual(
        rows.map(({ alertId }) => alertId),
        expected.get(userId)!.sort((a, b) => b - a),
        userId,
      );
      assert.equal(unreadCount, rows.length, userId);
    }
    assert.equal((await store.sql<{ n: number }>('SELECT count(*) AS n FROM alert_statuses'))[0]!.n, total);
  });

  await t.test("each alert's progress counts the same recipients", async () => {
    for (const request of alerts.filter((_, index) => index % 10 === 0)) {
      const { alert } = (await api.call('CreateAlert', request)) as { alert: { alertId: number } };
      const count = recipientsOf(request, directory).length;
      await untilTrue(
        async () => (await api.call('GetAlert', { alertId: alert.alertId })).progress!.fannedOutAt !== null,
        { what: 'the progress is noted' },
      );
      const { progress } = await api.call('GetAlert', { alertId: alert.alertId });
      assert.deepEqual([progress!.recipients, progress!.delivered], [count, count], request.requestId);
    }
  });

  await t.test("GitHub's own issue events reach their assignees", async () => {
    const events = issueEvents();
    assert.ok(events.length >= 10);
    const assigned = events.filter(({ issue }) => issue.assignees.length > 0);
    assert.ok(assigned.some(({ issue }) => issue.assignees.some(({ login }) => login === 'Codertocat')));
    const created: number[] = [];
    for (const { action, issue, repository } of assigned) {
      const { alert } = await api.call(
        'CreateAlert',
        alertRequest({
          kind: 'ALERT_KIND_ISSUE',
          level: 'ALERT_LEVEL_INFO',
          appName: repository.full_name,
          title: `${action}: ${issue.title}`.slice(0, 200),
          message: issue.body ?? '',
          sourceId: issue.html_url,
          recipients: { githubLogins: issue.assignees.map(({ login }) => login) },
        }),
        { caller: 'github' },
      );
      created.push(alert!.alertId);
    }
    const before = expected.get('core03')!;
    const mine = async () => (await listWholeInbox(api, 'core03')).rows;
    await untilTrue(async () => (await mine()).length >= before.length + created.length, {
      what: 'the issues arrived',
    });
    assert.deepEqual(
      (await mine()).map(({ alertId }) => alertId),
      [...before, ...created].sort((a, b) => b - a),
    );
    assert.equal((await listWholeInbox(api, 'op01')).rows.length, expected.get('op01')!.length);
  });
});

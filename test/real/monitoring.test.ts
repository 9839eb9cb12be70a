import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Person, PushWorld } from '../labs/push/world.js';
import { temporaryFolder } from '../support/cleanup.js';
import { dashboardQueries, lacksPrometheus, metricsOf, rules } from '../support/monitoring.js';
import { alertFor } from '../support/people.js';
import type { RoleProcess } from '../support/role-process.js';
import { whySkip } from '../support/stack.js';
import { until } from '../support/until-true.js';
import { Prometheus, targetOf } from './prometheus.js';

/** What Prometheus makes itself. */
const OF_PROMETHEUS = ['up', 'ALERTS'];
/** In one partition, since one user gets them all. */
const BACKLOG = 1200;

describe('monitoring of the real roles', { skip: whySkip() }, () => {
  let world: PushWorld;
  let all: RoleProcess[];
  let people: Person[];

  before(async () => {
    // Spans are counted where they are made; nobody takes them.
    world = await PushWorld.start({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' });
    const push = await world.startPush();
    all = [world.alertApi, world.fanout, world.delivery, push, world.gateway];
    people = await world.people(3, 1);
  });

  after(() => world?.close());

  it('every metric of the rules and dashboards is exported by a running role', async () => {
    const reader = new AbortController();
    const stream = world.client.streamAlerts({ userId: people[0]!.userId, start: 'beginning', signal: reader.signal });
    const streamed = (async () => {
      for await (const { changes } of stream) if (changes.length > 0) return;
    })();
    const alertId = await world.alert(people, 'seen everywhere');
    await Promise.all([streamed, world.allSent([alertId], people.length)]);
    reader.abort();

    const wanted = new Map<string, string>();
    for (const { where, expr } of dashboardQueries()) for (const name of metricsOf(expr)) wanted.set(name, where);
    for (const { alert, record, expr } of rules())
      for (const name of metricsOf(expr)) wanted.set(name, `rule ${alert ?? record}`);
    for (const name of wanted.keys()) if (OF_PROMETHEUS.includes(name) || name.includes(':')) wanted.delete(name);

    let lacking: string[] = [];
    await until(
      () => `all are exported, but ${lacking.join('; ')}`,
      async () => {
        const pages = await Promise.all(all.map((role) => role.get('/metrics')));
        const exported = new Set(pages.flatMap(({ body }) => body.match(/^\w+/gm) ?? []));
        lacking = [...wanted].filter(([name]) => !exported.has(name)).map(([name, where]) => `${name} (${where})`);
        return lacking.length === 0;
      },
      15_000,
    );
  });

  describe('under a real Prometheus', { skip: lacksPrometheus('prometheus') }, () => {
    const folder = temporaryFolder('ssom-prometheus-');
    let prometheus: Prometheus;

    before(async () => {
      prometheus = await new Prometheus(folder.path, await Promise.all(all.map(targetOf)), (rule) =>
        rule.alert === 'ConsumerLag' ? { ...rule, for: '3s' } : rule,
      ).ready();
    });

    after(async () => {
      await prometheus?.close();
      folder.remove();
    });

    it('all roles are scraped and all rules evaluated', async () => {
      await until('all targets are up', async () => {
        const targets = await prometheus.targets();
        return targets.length === all.length && targets.every(({ health }) => health === 'up');
      });
      let wrong: readonly string[] | undefined;
      await until('all rules were evaluated', async () => (wrong = await prometheus.wrongRules()) !== undefined);
      assert.deepEqual(wrong, []);
      assert.deepEqual(await prometheus.alerts('ConsumerLag'), []);
    });

    it('ConsumerLag fires when a consumer has stopped, and is silent when it has caught up', async () => {
      const group = 'ssom-alert-consumer-dev';
      assert.equal(await world.delivery.stop(), 0);
      const items = Array.from({ length: BACKLOG }, (_, index) => alertFor([people[0]!.userId], `waits ${index}`));
      for (let from = 0; from < BACKLOG; from += 400)
        await world.client.batchCreateAlerts({ requests: items.slice(from, from + 400) });
      let seen: Awaited<ReturnType<Prometheus['alerts']>> = [];
      const [firing] = await until(
        () => `ConsumerLag fires for ${group}, but ${JSON.stringify(seen)}`,
        async () => {
          seen = (await prometheus.alerts('ConsumerLag')).filter(({ labels }) => labels['group'] === group);
          return seen.some(({ state }) => state === 'firing') ? seen : undefined;
        },
      );
      assert.equal(firing!.labels['topic'], 'user-alert-topic');
      assert.equal(firing!.labels['severity'], 'critical');
      assert.match(firing!.annotations['summary']!, new RegExp(`^${group} is 1\\.2k records behind`));
      assert.match(firing!.annotations['runbook']!, new RegExp(`First: .*--group ${group}`));

      world.delivery = await world.roles.start('delivery').ready();
      await until('ConsumerLag is silent', async () => (await prometheus.alerts('ConsumerLag')).length === 0);
    });
  });
});

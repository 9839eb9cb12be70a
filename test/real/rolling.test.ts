import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UPGRADE } from '../labs/rolling/orders.js';
import { RollingRun } from '../labs/rolling/rolling-run.js';
import { blocked, runTables } from '../labs/tables/tables-run.js';
import { packedClient } from '../support/client-package.js';
import { defer } from '../support/defer.js';
import { lastRelease } from '../support/last-release.js';
import { whySkip } from '../support/stack.js';

const SEED = 20_270;

// See test/labs/rolling/README.md; `npm run rolling` has every order.
describe('the last release beside this one', { skip: whySkip() }, () => {
  it('roles are upgraded under traffic, one is rolled back, and nothing is lost', async (t) => {
    const log = (line: string) => t.diagnostic(line);
    const [release, own] = [await lastRelease(log), await packedClient()];
    for (const { remove } of [own, release]) defer(t, remove);
    const run = await RollingRun.start({ release, seed: SEED, brokers: 1, alertsPerSecond: 10, log });
    try {
      await run.client(own.module, 'this-client-last-service');
      await run.migrate();
      await run.inOneGo('all roles to this release', UPGRADE.steps);
      await run.client(release.client, 'last-client-this-service');
      await run.step({ role: 'delivery', to: 'last' });
      const { alerts, userAlerts } = await run.finish();
      t.diagnostic(`${alerts} alerts, ${userAlerts} entries of inboxes`);
      assert.ok(alerts > 100 && userAlerts > alerts, 'there was hardly any traffic');
    } finally {
      await run.close();
    }
    assert.deepEqual(run.faults.findings.details, []);
  });

  it('no caller waits for 1 s while the tables of a filled database are changed', async (t) => {
    const say = (line: string) => t.diagnostic(line);
    const release = await lastRelease(say);
    defer(t, release.remove);
    const result = await runTables({ release, entries: 100_000, say });
    assert.deepEqual(blocked(result), []);
    assert.ok(
      result.phases.every(({ calls }) => calls > 0),
      'nobody called',
    );
  });
});

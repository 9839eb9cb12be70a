import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { main } from '../../services/cli/cli.js';
import { alertRequest } from '../support/alerts.js';
import { loadDirectory } from '../support/directory.js';
import { startStandalone } from '../support/standalone.js';
import { untilTrue } from '../support/until-true.js';
import { fakeContext } from '../unit/cli/fake-context.js';

interface Figures {
  readonly rates: Readonly<Record<string, number | null>>;
  readonly groups: readonly { readonly role: string; readonly lag: number }[];
  readonly outbox: { readonly depth: number };
  readonly streams: { readonly open: number };
  readonly push: object | null;
  readonly breakers: readonly unknown[];
  readonly deadLetters: { readonly total: number };
  readonly roles: readonly { readonly name: string; readonly ready: boolean }[];
}

test('top and alerts trace read what the whole service really tells of itself', async (t) => {
  const standalone = await startStandalone(t, { env: { RECONCILE_GRACE_MS: '300', RECONCILE_INTERVAL_MS: '300' } });
  const api = standalone.api();
  await loadDirectory(api);
  const environment = { SSOM_ADDRESS: standalone.grpc, SSOM_ROLES: standalone.http };
  let alertId = 0;
  const look = async () => {
    const context = fakeContext({ environment });
    let looking = true;
    const code = main(['top', '--json', '--interval', '0.5'], context).finally(() => (looking = false));
    // Between its two looks, whenever those are.
    while (looking) {
      const { alert } = await api.call('CreateAlert', alertRequest());
      alertId = alert!.alertId;
      await sleep(100);
    }
    assert.equal(await code, 0, context.err());
    return JSON.parse(context.out()) as Figures;
  };
  let figures: Figures | undefined;
  await untilTrue(
    async () => {
      figures = await look();
      const { rates, groups } = figures;
      return rates['created']! > 0 && rates['delivered']! > 0 && groups.length === 4;
    },
    { timeoutMs: 30_000, what: () => `all is seen: ${JSON.stringify(figures)}` },
  );
  const { groups, outbox, streams, push, breakers, deadLetters, roles } = figures!;
  assert.deepEqual(
    groups.map(({ role }) => role),
    ['fanout', 'delivery', 'push', 'stream-gateway'],
  );
  assert.deepEqual(
    // What was created a moment ago may stand in the outbox still.
    [(outbox.depth ?? 100) < 20, streams.open, push, breakers.length, deadLetters.total, roles.map(({ name }) => name)],
    [true, 0, null, 0, 0, ['standalone']],
  );
  let out = '';
  await untilTrue(
    async () => {
      const context = fakeContext({ environment });
      assert.equal(await main(['alerts', 'trace', String(alertId)], context), 0, context.err());
      out = context.out();
      return out.includes('inbox of every recipient') && !out.includes('\nwhy\n');
    },
    { what: () => `nothing is amiss: ${out}` },
  );
});

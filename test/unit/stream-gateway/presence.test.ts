import assert from 'node:assert/strict';
import test from 'node:test';
import { silentLogger } from '../../../services/lib/logging.js';
import type { Database } from '../../../services/lib/postgres.js';
import { Presence } from '../../../services/stream-gateway/presence.js';
import { defer } from '../../support/defer.js';
import { untilTrue } from '../../support/until-true.js';

test('a failed write is repeated, and what has changed during a write is written behind it', async (t) => {
  const present = new Set<string>();
  let writes = 0;
  const query = ({ name, values }: { name?: string; values: [string, string[], string[]] }) => {
    if (name === 'renew-lease') return Promise.resolve({ rows: [{ renewed: true }] });
    if (name !== 'write-presence') return Promise.resolve({ rows: [] });
    writes += 1;
    if (writes === 1) return Promise.reject(new Error('away'));
    if (writes === 2) presence.note('goes', false);
    const [, here, gone] = values;
    for (const userId of here) present.add(userId);
    for (const userId of gone) present.delete(userId);
    return Promise.resolve({ rows: [] });
  };
  const presence = new Presence({ query } as unknown as Database, silentLogger(), () => []);
  presence.note('stays', true);
  presence.note('goes', true);
  const over = new AbortController();
  const running = presence.run(over.signal);
  defer(t, async () => {
    over.abort();
    await running;
  });
  await untilTrue(() => presence.waiting === 0, { what: 'all is written' });
  assert.deepEqual([[...present], writes], [['stays'], 3]);
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { rememberDeadLetter } from '../../services/store/dead-letters.js';
import { createTestDatabase } from '../support/postgres.js';

test('a record that was given up is remembered, whatever its key says of users and alerts', async (t) => {
  const { database, sql } = await createTestDatabase(t);
  const possible: [number | undefined, string | undefined][] = [
    [7, 'op01'],
    [undefined, undefined],
  ];
  const impossible: [number, string][] = [
    [1e30, 'a\0b'],
    [0.5, '\0'],
    [Infinity, 'x'.repeat(300_000)],
    [-1, Array.from({ length: 3000 }, (_, index) => String.fromCharCode(0x4e00 + index)).join('')],
  ];
  for (const [offset, [alertId, userId]] of [...possible, ...impossible].entries()) {
    await rememberDeadLetter(database, { topic: 't', partition: 0, offset, alertId, userId, reason: 'no \0' });
  }
  const rows = await sql('SELECT alert_id, user_id FROM dead_letters ORDER BY "offset"');
  const nobody = { alert_id: null, user_id: null };
  assert.deepEqual(rows, [{ alert_id: 7, user_id: 'op01' }, nobody, nobody, nobody, nobody, nobody]);
});

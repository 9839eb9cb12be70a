import assert from 'node:assert/strict';
import test from 'node:test';
import { silentLogger } from '../../../services/lib/logging.js';
import type { Database } from '../../../services/lib/postgres.js';
import { OutcomeWriter } from '../../../services/push/outcome-writer.js';
import { untilTrue } from '../../support/until-true.js';

const sent = (alertId: number) => ({ claim: { deviceId: 1, alertId, claimedUntil: 0 }, state: 'sent' as const });

/** A database that keeps the alerts whose outcomes it was given, and calls `onStored` when it has answered. */
function databaseOf(onStored: () => void): { database: Database; stored: number[] } {
  const stored: number[] = [];
  const query = ({ name, values }: { name?: string; values?: unknown[] }) => {
    if (name === 'finish-pushes') stored.push(...(values![1] as number[]));
    queueMicrotask(onStored);
    return Promise.resolve({ rows: [], rowCount: 0 });
  };
  return { database: { query } as unknown as Database, stored };
}

test('an outcome that is noted at whatever moment after the last one was stored is stored as well', async () => {
  for (let moment = 0; moment < 20; moment += 1) {
    let later: (() => void) | undefined;
    const { database, stored } = databaseOf(() => later?.());
    const writer = new OutcomeWriter({
      database,
      logger: silentLogger(),
      hopelessAfterMs: 1000,
      onRemoved: () => undefined,
      onNewsStored: () => undefined,
    });
    later = () => {
      later = undefined;
      let turn = Promise.resolve();
      for (let turns = 0; turns < moment; turns += 1) turn = turn.then(() => undefined);
      void turn.then(() => writer.note([sent(2)]));
    };
    writer.note([sent(1)]);
    await untilTrue(() => stored.includes(2), {
      what: `the second outcome is stored, noted ${moment} turns after the answer`,
      timeoutMs: 1000,
    });
    assert.deepEqual(stored, [1, 2]);
  }
});

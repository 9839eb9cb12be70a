import { ROLE_NAMES } from '../../../../services/domain/role-names.js';
import { wait } from '../../../../services/lib/retry.js';
import type { Bench, Scenario } from '../../frame/bench.js';
import type { Figures } from '../../frame/figures.js';
import { percentile } from '../../frame/statistics.js';
import type { LoadCommands } from '../load-client.js';

const NAME = 'busy-inbox';
const RATE = 200;
const WARM_UP_S = 20;
const ENTRIES = 1_000_000;
const CALLERS = 20;
/** What was cancelled ends, and PostgreSQL writes what is left of it. */
const SETTLE_MS = 2000;

/** All unread, and about alerts that nobody looks up. */
const FILL = `
  INSERT INTO alert_statuses (user_id, alert_id, seq, created_seq, change, is_read, created_at)
  SELECT $1, 1000000000 + k, k, k, 1, false, now() FROM generate_series($2::int, $3::int) k`;
const FILL_PAGE = 50_000;

/**
 * What others' alerts take from CreateAlert to the stream while 20 callers mark all of one user's 1,000,000 entries as
 * read, against the same without them.
 */
export const busyInbox: Scenario = {
  name: NAME,
  async run(bench: Bench, figures: Figures) {
    const { seconds } = bench.options;
    const deployment = await bench.deploy(NAME);
    await deployment.start(...ROLE_NAMES);
    const [busy, ...users] = await deployment.loadDirectory();
    const url = deployment.environment['DATABASE_URL']!;
    for (let from = 1; from <= ENTRIES; from += FILL_PAGE)
      await bench.runSql(url, FILL, [busy, from, from + FILL_PAGE - 1]);
    await bench.runSql(url, 'INSERT INTO inboxes (user_id, last_seq, unread_count) VALUES ($1, $2::int, $2::int)', [
      busy,
      ENTRIES,
    ]);
    await bench.runSql(url, 'ANALYZE');
    const client = bench.worker<LoadCommands>('bench/load-client');
    const others = bench.worker<LoadCommands>('bench/load-client', 'busy client');
    await client.call('openStreams', { address: deployment.streamGateway, users });
    const measure = (length: number) =>
      client.call('openLoop', { address: deployment.alertApi, rate: RATE, seconds: length });
    await measure(WARM_UP_S);

    await bench.rounds(NAME, async (round) => {
      const quiet = async () => (await measure(seconds)).delivered;
      const marked = async () => {
        const marking = others.call('markLoop', {
          address: deployment.alertApi,
          userId: busy!,
          callers: CALLERS,
          seconds: seconds + 1,
        });
        const { delivered, missing } = await measure(seconds);
        if (missing > 0) figures.note(`${NAME}: ${missing} alerts of a round did not come within 10 s`);
        const { codes } = await marking;
        for (const [code, count] of Object.entries(codes))
          if (code !== 'OK') figures.note(`${NAME}: ${count} calls of MarkAllRead ended with ${code} in a round`);
        await wait(SETTLE_MS);
        return delivered;
      };
      // Whoever goes second finds the machine warmer, so they take turns.
      const first = round % 2 === 1 ? await quiet() : await marked();
      const second = round % 2 === 1 ? await marked() : await quiet();
      const [without, withCallers] = round % 2 === 1 ? [first, second] : [second, first];
      const [p99, quietP99] = [percentile(withCallers, 0.99), percentile(without, 0.99)];
      figures.add(NAME, 'create to stream p50, others mark nothing', 'ms', percentile(without, 0.5));
      figures.add(NAME, 'create to stream p50, one marks all', 'ms', percentile(withCallers, 0.5));
      figures.add(NAME, 'create to stream p99, others mark nothing', 'ms', quietP99);
      figures.add(NAME, 'create to stream p99, one marks all', 'ms', p99);
      figures.add(NAME, 'p99 against p99', 'x', p99 / quietP99, { kind: 'bound', at: 'most', value: 1.5 });
      const [left] = await bench.runSql(url, 'SELECT unread_count FROM inboxes WHERE user_id = $1', [busy]);
      const unread = Number(left!['unread_count']);
      figures.add(NAME, 'entries that are still unread', '', unread);
      return `p99 ${quietP99.toFixed(1)} ms, with callers ${p99.toFixed(1)} ms, ${(p99 / quietP99).toFixed(2)} x; ${unread} unread`;
    });
    await bench.finish(deployment, figures);
  },
};

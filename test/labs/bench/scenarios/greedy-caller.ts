import type { Bench, Scenario } from '../../frame/bench.js';
import type { Figures, Limit } from '../../frame/figures.js';
import { percentile } from '../../frame/statistics.js';
import type { CallersCommands, Greed } from '../callers.js';

const NAME = 'greedy-caller';
/** 100 alerts a second of others: far from what the service can do, as on any day. */
const CALLERS = 20;
const RATE_EACH = 5;
const TIMES_THE_OTHERS = 20;
const WARM_UP_S = 10;

const GREEDS: readonly { readonly what: string; readonly greed: Greed }[] = [
  { what: `one at ${TIMES_THE_OTHERS} x the rate`, greed: { kind: 'rate', rate: TIMES_THE_OTHERS * RATE_EACH } },
  { what: '60 at a time with 10,000 unknown names', greed: { kind: 'names' } },
  { what: '14 batches of 500 that name who left', greed: { kind: 'left' } },
];

/** A bound for one that is only frequent; what is also large takes CPU of the machine besides. */
function limit({ kind }: Greed): Limit {
  return { kind: kind === 'rate' ? 'bound' : 'aim', at: 'most', value: 1.5 };
}

/** What one caller that sends much costs the others: without it, with it, with it, without it, in one run. */
export const greedyCaller: Scenario = {
  name: NAME,
  async run(bench: Bench, figures: Figures) {
    const { seconds } = bench.options;
    const deployment = await bench.deploy(NAME);
    await deployment.start('alert-api');
    const [userId] = await deployment.loadDirectory();
    const leftId = await deployment.loadInactive();
    const address = deployment.alertApi;
    const small = bench.worker<CallersCommands>('bench/callers', 'small');
    const greedy = bench.worker<CallersCommands>('bench/callers', 'greedy');
    const slice = (length: number) =>
      small.call('many', { address, callers: CALLERS, rateEach: RATE_EACH, seconds: length, userId: userId! });
    const withGreedy = async (greed: Greed) => {
      await greedy.call('startGreedy', { address, greed, userId: userId!, leftId });
      const result = await slice(seconds);
      return { ...result, ...(await greedy.call('stopGreedy', undefined)) };
    };
    await slice(WARM_UP_S);

    for (const { what, greed } of GREEDS) {
      await bench.rounds(`${NAME}, ${what}`, async () => {
        const before = await slice(seconds);
        const [first, second] = [await withGreedy(greed), await withGreedy(greed)];
        const after = await slice(seconds);
        const alone = [...before.latencies, ...after.latencies];
        const beside = [...first.latencies, ...second.latencies];
        const [p99, p99Beside] = [percentile(alone, 0.99), percentile(beside, 0.99)];
        const failed = first.failed + second.failed;
        if (failed > 0) figures.note(`${NAME}: ${failed} calls of others failed beside ${what}`);
        figures.add(NAME, `others' p50 beside ${what}`, 'ms', percentile(beside, 0.5));
        figures.add(NAME, `others' p99 beside ${what}`, 'ms', p99Beside);
        figures.add(NAME, `others' p99 without ${what}`, 'ms', p99);
        figures.add(NAME, `others' p99 beside ${what}, against without`, 'x', p99Beside / p99, limit(greed));
        const sent = `${first.answered + second.answered} answered, ${first.refused + second.refused} refused`;
        return `p99 ${p99.toFixed(1)} -> ${p99Beside.toFixed(1)} ms, ${(p99Beside / p99).toFixed(2)} x; greedy: ${sent}`;
      });
    }
    await bench.finish(deployment, figures);
  },
};

import { wait } from '../../../../services/lib/retry.js';
import type { Bench, Scenario } from '../../frame/bench.js';
import type { Figures } from '../../frame/figures.js';
import { percentile } from '../../frame/statistics.js';
import type { CallersCommands, Greed } from '../callers.js';
import { secured } from '../secured.js';

const NAME = 'forged-tokens';
const GOOD = { callers: 10, rateEach: 10 };
const FORGED = { rate: 10_000, connections: 100 };
const WARM_UP_S = 5;
/** What a hundred connections and a thousand calls at once cost at their beginning is no rate. */
const BEGINNING_MS = 1000;

/** What 10,000 forged tokens a second, each another, cost callers with good ones: without, with, with, without. */
export const forgedTokens: Scenario = {
  name: NAME,
  async run(bench: Bench, figures: Figures) {
    const { seconds } = bench.options;
    const { environment, service } = await secured({ tls: false });
    const token = await service('bench');
    const deployment = await bench.deploy(NAME, environment, { identity: { token } });
    await deployment.start('alert-api');
    const [userId] = await deployment.loadDirectory();
    const address = deployment.alertApi;
    const good = bench.worker<CallersCommands>('bench/callers', 'good');
    const forger = bench.worker<CallersCommands>('bench/callers', 'forger');
    const slice = (length: number) => good.call('many', { address, ...GOOD, seconds: length, userId: userId!, token });
    const greed: Greed = { kind: 'forged', ...FORGED, token };
    const besides = async () => {
      await forger.call('startGreedy', { address, greed, userId: userId!, leftId: '' });
      await wait(BEGINNING_MS);
      const result = await slice(seconds);
      return { ...result, ...(await forger.call('stopGreedy', undefined)) };
    };
    await slice(WARM_UP_S);

    await bench.rounds(NAME, async () => {
      const before = await slice(seconds);
      const [first, second] = [await besides(), await besides()];
      const after = await slice(seconds);
      const alone = percentile([...before.latencies, ...after.latencies], 0.99);
      const beside = percentile([...first.latencies, ...second.latencies], 0.99);
      const failed = first.failed + second.failed;
      const refused = (first.refused + second.refused) / (2 * seconds);
      if (failed > 0) figures.note(`${NAME}: ${failed} calls with good tokens failed`);
      if (first.answered + second.answered > 0) figures.note(`${NAME}: a forged token was believed`);
      figures.add(NAME, 'good callers, p99 without', 'ms', alone);
      figures.add(NAME, 'good callers, p99 beside forged tokens', 'ms', beside);
      figures.add(NAME, 'forged tokens that were refused', 'calls/s', refused);
      return `p99 ${alone.toFixed(1)} -> ${beside.toFixed(1)} ms; ${Math.round(refused)} forged/s; ${failed} good failed`;
    });
    await bench.finish(deployment, figures);
  },
};

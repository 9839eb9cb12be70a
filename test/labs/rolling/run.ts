// `npm run rolling`: roles of the last release and of this one side by side, in every order; see README.md.
import { packedClient } from '../../support/client-package.js';
import { lastRelease } from '../../support/last-release.js';
import type { FaultReport } from '../faults/fault-run.js';
import { reportOf } from '../faults/run-faults.js';
import { runLab } from '../frame/command-line.js';
import { amount, count, seed } from '../frame/flags.js';
import { ORDERS } from './orders.js';
import { RollingRun } from './rolling-run.js';

await runLab({
  name: 'rolling',
  about: 'do roles of the last release and of this one work side by side, in every order?',
  parts: ORDERS.map(({ name }) => name),
  markdown: 'standard output',
  flags: {
    seed,
    rate: amount('alerts a second; 15', 0.1),
    brokers: count(1, 'of Kafka, 3 or 1'),
  },
  async run({ seed: chosen, rate = 15, brokers }, { parts }, say) {
    say(`seed ${chosen}`);
    const release = await lastRelease(say);
    const own = await packedClient();
    const options = {
      release,
      seed: chosen,
      brokers: brokers === 3 ? (3 as const) : (1 as const),
      alertsPerSecond: rate,
      log: say,
    };
    const run = await RollingRun.start(options).catch((error: unknown) => {
      release.remove();
      throw error;
    });
    let report: FaultReport;
    try {
      await run.client(own.module, 'this-client-last-service');
      await run.migrate();
      for (const order of ORDERS.filter(({ name }) => parts.includes(name))) {
        say(`== ${order.name}`);
        await run.order(order);
      }
      await run.bring('this');
      await run.client(release.client, 'last-client-this-service');
      say('the traffic stops; everything is held against the ledger');
      report = await run.finish();
    } finally {
      await run.close();
      own.remove();
      release.remove();
    }
    return reportOf(run.faults, report);
  },
});

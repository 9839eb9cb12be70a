import { wait } from '../../../services/lib/retry.js';
import type { Scenario } from '../frame/bench.js';
import { CpuMeter } from '../frame/processes.js';
import { deployGateway, userIds } from './deployment.js';
import { InboxSource } from './inbox-source.js';

const NAME = 'skip';
const RECORDS = 200_000;
const AT_ONCE = 10_000;

/** What a gateway pays for a record of somebody who is connected elsewhere. */
export const skip: Scenario = {
  name: NAME,
  async run(bench, figures) {
    const deployment = await deployGateway(bench, NAME, []);
    const gateway = deployment.role('stream-gateway');
    const source = await InboxSource.open(deployment, bench, []);
    const users = userIds(AT_ONCE);
    let sequence = 0;
    const publish = async (records: number) => {
      const skipped = async () => gateway.metric('ssom_stream_records_skipped_total');
      const wanted = (await skipped()) + records;
      const meter = new CpuMeter(new Map([['gateway', gateway.pid]]));
      for (let sent = 0; sent < records; sent += AT_ONCE) await source.tell(users, 1, (sequence += 1));
      while ((await skipped()) < wanted) await wait(50);
      return (meter.read().ms.get('gateway')! / records) * 1000;
    };
    await publish(RECORDS);
    await bench.rounds('records of users who are not connected', async () => {
      const micros = await publish(RECORDS);
      figures.add(NAME, 'CPU of a record that is skipped', 'µs', micros);
      return `${micros.toFixed(2)} µs of CPU each`;
    });
    await source.close();
    await bench.finish(deployment, figures);
  },
};

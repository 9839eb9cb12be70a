import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../../support/until-true.js';
import { type Fault, NETWORK_MS } from './fault.js';

export const DIRECTORY: Fault = {
  name: 'directory changes and deactivations',
  disturbs: ['directory'],
  async run({ traffic, random }) {
    const end = Date.now() + NETWORK_MS;
    while (Date.now() < end) {
      const { userId } = random.pick(traffic.movers);
      const department = random.pick(['OPERATION', 'CORE_BANK', 'CHANNEL', 'PAYROLL']);
      await traffic.changeDirectory([{ userId, department, active: random.chance(0.7) }]);
      await sleep(random.int(10, 200));
    }
    await traffic.changeDirectory(traffic.movers);
    return Date.now();
  },
};

const RECONNECTS = 1000;

export const STREAMS: Fault = {
  name: `${RECONNECTS} forced stream reconnects`,
  disturbs: ['gateway', 'stream-gateway'],
  async run({ world, traffic }) {
    const losses = () => traffic.streams.reduce((sum, stream) => sum + stream.losses, 0);
    const goal = losses() + RECONNECTS;
    await until(
      () => `${RECONNECTS} streams were lost; ${goal - losses()} are left`,
      async () => {
        world.networks.gateway.reset();
        await sleep(300);
        return losses() >= goal;
      },
      120_000,
    );
    return Date.now();
  },
};

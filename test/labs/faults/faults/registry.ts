import { setTimeout as sleep } from 'node:timers/promises';
import { type Fault, OUTAGE_MS } from './fault.js';

export const REGISTRY: readonly Fault[] = [
  {
    name: 'registry down',
    disturbs: ['registry', 'delivery'],
    async run({ world, random }) {
      await world.registry.kill();
      // One that starts meanwhile has no schemas yet: it waits, and the others do its work.
      const slot = random.pick(world.of('delivery'));
      await slot.kill();
      await slot.start();
      await sleep(OUTAGE_MS);
      await world.startRegistry();
      const upAt = Date.now();
      await slot.ready();
      return upAt;
    },
  },
];

import type { World } from '../world.js';
import { type Fault, lasting, NETWORK_MS, type Stage } from './fault.js';

/** What may become of the way from the roles to a server, or from callers and people to the roles. */
export function networkFaults(way: keyof World['networks']): Fault[] {
  return [
    lasting(
      `cut the network to ${way}`,
      [way],
      NETWORK_MS,
      ({ world }) => world.networks[way].cut(),
      ({ world }) => world.networks[way].heal(),
    ),
    lasting(
      `lose every packet to ${way}`,
      [way],
      NETWORK_MS,
      ({ world }) => world.networks[way].silence(),
      ({ world }) => world.networks[way].heal(),
    ),
    {
      name: `half-open connections to ${way}`,
      disturbs: [way],
      run: ({ world }: Stage) => {
        world.networks[way].halfOpen();
        return Promise.resolve(Date.now());
      },
    },
    lasting(
      `300 ms of delay to ${way}`,
      [way],
      NETWORK_MS,
      ({ world }) => world.networks[way].delay(300),
      ({ world }) => world.networks[way].heal(),
    ),
  ];
}

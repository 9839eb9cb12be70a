import { setTimeout as sleep } from 'node:timers/promises';
import type { RoleName } from '../../../../services/domain/role-names.js';
import type { Slot } from '../world.js';
import { AWAY_MS, type Fault, type Stage, stopInOrder } from './fault.js';

const FREEZE_MS = 15_000;

/** One instance of a role is killed, stands still, or all are stopped in order one after the other. */
export function roleFaults(role: RoleName): Fault[] {
  return [
    {
      name: `kill ${role}`,
      disturbs: [role],
      async run({ world, random }) {
        const slot = random.pick(world.of(role));
        await slot.kill();
        const killedAt = Date.now();
        await sleep(AWAY_MS);
        await slot.start();
        await slot.ready();
        return killedAt;
      },
    },
    {
      name: `freeze ${role}`,
      disturbs: [role],
      async run({ world, random }) {
        const { process } = random.pick(world.of(role));
        process!.signal('SIGSTOP');
        await sleep(FREEZE_MS);
        process!.signal('SIGCONT');
        return Date.now();
      },
    },
    {
      name: `roll ${role}`,
      disturbs: [role],
      run: (stage) => rollRole(stage, role),
    },
  ];
}

/**
 * Stops the instances of a role in order and starts others in their place, one after the other.
 * @param change what is different about the next process of this place
 * @returns when the last one was stopped
 */
export async function rollRole(
  stage: Stage,
  role: RoleName,
  change: (slot: Slot) => void = () => undefined,
  slots: readonly Slot[] = stage.world.of(role),
): Promise<number> {
  const { traffic, findings, alone } = stage;
  const before = new Map(traffic.callers.retries);
  let lastAt = Date.now();
  for (const slot of slots) {
    await stopInOrder(slot, stage);
    lastAt = Date.now();
    change(slot);
    await slot.start();
    await slot.ready();
  }
  for (const [code, count] of traffic.callers.retries)
    if (alone && code !== 'UNAVAILABLE' && count > (before.get(code) ?? 0))
      findings.add('refused', `a rolling restart of ${role} made callers repeat after ${code}`);
  return lastAt;
}

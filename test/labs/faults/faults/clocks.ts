import { setTimeout as sleep } from 'node:timers/promises';
import type { RoleName } from '../../../../services/domain/role-names.js';
import { clockShift, steppedClock } from '../clock-shift.js';
import { type Fault, NETWORK_MS, stopInOrder } from './fault.js';

/** Where a clock is moved to while it is read, one after the other. */
export const STEPS = ['-1h', '+1h', '+0'];
export const STEP_MS = 6000;
/** After an outage alerts arrive well within this, also by a clock that was moved meanwhile. */
const STEP_PATIENCE_MS = 30_000;

export function clockFault(role: RoleName): Fault {
  return {
    name: `clock of ${role} 1 h off`,
    disturbs: [role],
    async run(stage) {
      const { world, random } = stage;
      const slot = random.pick(world.of(role));
      const shifted = clockShift(random.pick(['+1h', '-1h']));
      await stopInOrder(slot, stage);
      await slot.start(shifted);
      await slot.ready();
      await sleep(NETWORK_MS);
      await stopInOrder(slot, stage);
      await slot.start();
      await slot.ready();
      return Date.now();
    },
  };
}

/** The clock is moved while the role waits for PostgreSQL: such a wait must end when it would have ended anyway. */
export function steppedClockFault(role: RoleName): Fault {
  const name = `clock of ${role} steps`;
  return {
    name,
    disturbs: [role, 'postgres'],
    async run(stage) {
      const { world, traffic, findings, alone } = stage;
      const slot = stage.random.pick(world.of(role));
      const clock = steppedClock();
      await stopInOrder(slot, stage);
      await slot.start(clock.environment);
      await slot.ready();
      for (const shift of STEPS) {
        world.networks.postgres.cut();
        await sleep(STEP_MS / 2);
        clock.step(shift);
        await sleep(STEP_MS / 2);
        world.networks.postgres.heal();
        const healedAt = Date.now();
        while (traffic.probe.wellFrom(healedAt) === undefined && Date.now() < healedAt + STEP_PATIENCE_MS)
          await sleep(100);
        if (alone && traffic.probe.wellFrom(healedAt) === undefined)
          findings.add('not recovered', `${name}: alerts do not arrive within 1 s while it is at ${shift}`);
      }
      await stopInOrder(slot, stage);
      await slot.start();
      await slot.ready();
      return Date.now();
    },
  };
}

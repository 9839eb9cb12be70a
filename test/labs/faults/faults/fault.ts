import { setTimeout as sleep } from 'node:timers/promises';
import { ROLE_NAMES } from '../../../../services/domain/role-names.js';
import type { Random } from '../../../support/random.js';
import type { Archive } from '../archive.js';
import type { Findings } from '../findings.js';
import type { Ledger } from '../ledger.js';
import type { Traffic } from '../traffic.js';
import type { Slot, World } from '../world.js';

/** What a fault has to work with. */
export interface Stage {
  readonly world: World;
  readonly traffic: Traffic;
  readonly ledger: Ledger;
  readonly findings: Findings;
  readonly archive: Archive;
  readonly random: Random;
  /** Nothing else is disturbed meanwhile, so that what callers notice comes from this fault. */
  readonly alone: boolean;
}

export interface Fault {
  readonly name: string;
  /** What it disturbs: two faults with nothing in common may go on at once. */
  readonly disturbs: readonly string[];
  /** Resolves when everything runs again. @returns when the cause was gone: from then on recovery counts */
  readonly run: (stage: Stage) => Promise<number>;
}

export const OUTAGE_MS = 60_000;
export const NETWORK_MS = 15_000;
/** How long a killed process stays away, as an orchestrator would need to notice. */
export const AWAY_MS = 1000;
/** SIGTERM finishes what is in hand within this. */
const STOP_MS = 10_000;
/** Nobody may wait for so long because of somebody else's inbox. On two busy cores a probe may take 2 s at any time. */
export const HELD_UP_MS = 5000;

/** Nothing else goes on beside what makes acknowledged things uncertain. */
export const EVERYTHING = ['postgres', 'kafka', 'registry', 'api', 'gateway', 'fcm', 'directory', ...ROLE_NAMES];

/** While Kafka is away a role may have to kill itself after its shutdown: its client holds a thread. */
export async function stopInOrder(slot: Slot, { findings, alone }: Stage): Promise<void> {
  const { code, ms } = await slot.stop();
  if (ms > STOP_MS || (code !== 0 && (alone || code !== null)))
    findings.add('unclean end', `${slot.name}: exit code ${code ?? 'by force'} after ${Math.round(ms)} ms`);
}

/** Something that is wrong for a while. */
export function lasting(
  name: string,
  disturbs: readonly string[],
  ms: number,
  begin: (stage: Stage) => Promise<void> | void,
  end: (stage: Stage) => Promise<void> | void,
): Fault {
  return {
    name,
    disturbs,
    async run(stage) {
      await begin(stage);
      try {
        await sleep(ms);
      } finally {
        await end(stage);
      }
      return Date.now();
    },
  };
}

/** Others' alerts and calls, while somebody or something is a nuisance. */
export async function holdsUpNobody(
  { traffic, findings, alone }: Stage,
  what: string,
  nuisance: () => Promise<void>,
): Promise<void> {
  const exhausted = () => traffic.callers.retries.get('RESOURCE_EXHAUSTED') ?? 0;
  const before = exhausted();
  const from = Date.now();
  await nuisance();
  const longest = traffic.probe.longest(from, Date.now() - HELD_UP_MS);
  if (!alone) return;
  if (longest > HELD_UP_MS) findings.add('held up', `somebody else's alert took ${longest} ms ${what}`);
  if (exhausted() > before) findings.add('held up', `${exhausted() - before} calls of others were too many ${what}`);
}

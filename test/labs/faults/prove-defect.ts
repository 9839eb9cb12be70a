import { join } from 'node:path';
import { ROOT } from '../../../services/lib/root.js';
import type { Report, Say } from '../frame/command-line.js';
import { type Defect, DEFECTS } from './defects.js';
import { FaultRun } from './fault-run.js';

/** What would repair the damage of a defect before it shows; the run with `control` has it off as well. */
const NOTHING_REPAIRS = { RECONCILE_GRACE_MS: '3600000' };
const PATIENCE_MS = 15_000;

/**
 * Runs the service with a defect, does its fault, and says whether that was noticed.
 * @param control without the defect: then nothing may be noticed
 */
export async function proveDefect(
  defect: Defect,
  { seed, log, control = false }: { seed: number; log: (line: string) => void; control?: boolean },
): Promise<boolean> {
  const entry = join(ROOT, '.build', 'test', 'labs', 'faults', 'defects', `${defect.name}.js`);
  const run = await FaultRun.start({
    seed,
    brokers: 1,
    instances: 1,
    alertsPerSecond: 30,
    environment: { ...NOTHING_REPAIRS, ...defect.environment },
    patienceMs: PATIENCE_MS,
    entry: (role) => (!control && defect.roles.includes(role) ? entry : undefined),
    ...(control || defect.prepare === undefined ? {} : { prepare: defect.prepare }),
    log: (line) => log(`  ${line}`),
  });
  try {
    await run.do(defect.fault);
    await run.finish(PATIENCE_MS);
  } finally {
    await run.close();
  }
  const { findings } = run;
  const caught = defect.caughtAs.some((kind) => findings.of(kind) > 0);
  const found = [...findings.counts].map(([kind, count]) => `${kind} ${count}`).join(', ') || 'nothing';
  const well = control ? findings.total === 0 : caught;
  log(`${well ? 'ok    ' : 'FAILED'} ${defect.name}${control ? ', without the defect' : ''}: found ${found}`);
  return well;
}

/** All defects, or the one of this name. With `control` each fault is done without its defect, too. */
export async function proveDefects(
  name: string,
  { seed, control, log }: { seed: number; control: boolean; log: Say },
): Promise<Report> {
  const chosen = DEFECTS.filter((defect) => name === 'all' || defect.name === name);
  const failed: string[] = [];
  for (const defect of chosen) {
    if (control && !(await proveDefect(defect, { seed, log, control: true })))
      failed.push(`${defect.name}, without it`);
    if (!(await proveDefect(defect, { seed, log }))) failed.push(defect.name);
  }
  const fine = failed.length === 0;
  const text = fine ? `${chosen.length} defects, all as they must be` : `FAILED: ${failed.join('; ')}`;
  return { fine, text, json: { seed, defects: chosen.map((each) => each.name), failed } };
}

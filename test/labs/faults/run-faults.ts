import type { Report, Say } from '../frame/command-line.js';
import { type FaultReport, FaultRun } from './fault-run.js';
import type { Fault } from './faults/fault.js';
import { KINDS } from './findings.js';
import { toMarkdown } from './report.js';

export interface RunOptions {
  readonly seed: number;
  readonly brokers: 1 | 3;
  /** Alerts a second. */
  readonly rate: number;
  /** Of random faults, after each of them was done once. */
  readonly minutes: number;
  readonly say: Say;
}

/** The fault run as `npm run faults` does it: two instances of each role. */
export async function runFaults(faults: readonly Fault[], options: RunOptions): Promise<Report> {
  const { seed, brokers, rate, minutes, say } = options;
  const run = await FaultRun.start({ seed, brokers, instances: 2, alertsPerSecond: rate, log: say });
  let report: FaultReport;
  try {
    await run.listed(faults);
    if (minutes > 0) await run.random(minutes, faults);
    say('the traffic stops; everything is held against the ledger');
    report = await run.finish();
  } finally {
    await run.close();
  }
  return reportOf(run, report);
}

/** Once the run is closed: what ended badly is known only then. */
export function reportOf({ findings }: FaultRun, report: FaultReport): Report {
  const json = { ...report, found: Object.fromEntries(findings.counts), details: findings.details };
  return { fine: findings.total === 0, text: summary(json), markdown: toMarkdown(json), json };
}

function summary(report: FaultReport): string {
  const { alerts, userAlerts, changes, replays, streamLosses, poison, found, seconds, seed } = report;
  const kinds = Object.entries(KINDS).map(
    ([kind, meaning]) => `${String(found[kind] ?? 0).padStart(6)}  ${kind.padEnd(16)} ${meaning}`,
  );
  return [
    `${alerts} alerts, ${userAlerts} entries of inboxes, ${changes} changes by readers, ${replays} repeated requests, ` +
      `${streamLosses} lost streams, ${poison} records of poison, ${report.faults.length} faults in ${seconds} s; seed ${seed}`,
    ...kinds,
  ].join('\n');
}

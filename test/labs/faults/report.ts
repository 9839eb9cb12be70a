import { table } from '../frame/report.js';
import { median } from '../frame/statistics.js';
import type { FaultRecord, FaultReport } from './fault-run.js';

const shown = (seconds: number): string => (Number.isFinite(seconds) ? seconds.toFixed(1) : 'too long');
const numbers = (values: readonly (number | null)[]): number[] => values.map((value) => value ?? Infinity);

const HEAD = ['fault', 'times', 'recovery, median s', 'worst s', 'all caught up, worst s'];

/**
 * One row for each fault, with how often it was done, its recovery and the time until everything had arrived, in
 * seconds.
 */
export function toMarkdown({ faults }: FaultReport): string {
  const byName = new Map<string, FaultRecord[]>();
  for (const fault of faults) byName.set(fault.name, [...(byName.get(fault.name) ?? []), fault]);
  const rows = [...byName].map(([name, records]) => {
    const recovery = numbers(records.map(({ recoveryS }) => recoveryS));
    const caughtUp = numbers(records.map(({ caughtUpS }) => caughtUpS));
    return [
      name,
      String(records.length),
      ...[median(recovery), Math.max(...recovery), Math.max(...caughtUp)].map(shown),
    ];
  });
  return table(HEAD, rows, [1, 2, 3, 4]).join('\n');
}

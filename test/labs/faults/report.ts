import type { FaultRecord, FaultReport } from './fault-run.js';

const worst = (values: readonly (number | null)[]): string =>
  values.includes(null) ? 'too long' : Math.max(...(values as number[])).toFixed(1);

const median = (values: readonly (number | null)[]): string => {
  const sorted = values.map((value) => value ?? Infinity).sort((a, b) => a - b);
  const middle = sorted[(sorted.length - 1) >> 1]!;
  return middle === Infinity ? 'too long' : middle.toFixed(1);
};

/** One row for each fault, with how often it was done, its recovery and the time until everything had arrived, in seconds. */
export function toMarkdown({ faults }: FaultReport): string {
  const byName = new Map<string, FaultRecord[]>();
  for (const fault of faults) byName.set(fault.name, [...(byName.get(fault.name) ?? []), fault]);
  const rows = [...byName].map(([name, records]) => {
    const recovery = records.map(({ recoveryS }) => recoveryS);
    const caughtUp = records.map(({ caughtUpS }) => caughtUpS);
    return `| ${name} | ${records.length} | ${median(recovery)} | ${worst(recovery)} | ${worst(caughtUp)} |`;
  });
  return [
    '| fault | times | recovery, median s | worst s | all caught up, worst s |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

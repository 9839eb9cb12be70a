import type { Report } from '../frame/command-line.js';
import type { FuzzResult } from './fuzz.js';

export function reportOf(result: FuzzResult, seed: number): Report {
  const { report, seconds, footprints } = result;
  const { inputs, failed, failures, counts } = report;
  const fine = failed === 0;
  const verdict = fine ? 'no failure' : `${failed} FAILURES; again with --seed ${seed}`;
  return {
    fine,
    text: `${report.table()}\n${memoryTable(result)}\n\n${inputs} inputs in ${seconds.toFixed(0)} s, seed ${seed}: ${verdict}`,
    json: {
      ...{ seed, inputs, seconds, failed, failures },
      counts: Object.fromEntries([...counts].map(([part, entries]) => [part, Object.fromEntries(entries)])),
      memory: footprints.map((round) => Object.fromEntries(round)),
    },
  };
}

function memoryTable({ footprints }: FuzzResult): string {
  const roles = [...(footprints[0]?.keys() ?? [])];
  const lines = roles.map((role) => {
    const all = footprints.map((round) => round.get(role));
    const rss = all.map((at) => at?.rssMib.toFixed(0) ?? '?').join(' → ');
    const live = all.map((at) => at?.liveMib.toFixed(0) ?? '?').join(' → ');
    const { openStreams } = all.at(-1) ?? { openStreams: 0 };
    return `  ${role.padEnd(16)}RSS ${rss} MiB; live ${live} MiB; ${openStreams} streams`;
  });
  return ['', 'after each round', ...lines].join('\n');
}

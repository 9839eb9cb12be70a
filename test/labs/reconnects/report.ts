import type { Report } from '../frame/command-line.js';
import type { ReconnectResult } from './reconnect-run.js';

const PROBLEMS_SHOWN = 20;

export function reportOf(result: ReconnectResult, seed: number): Report {
  const { reconnects, losses, streams, alerts, changes, seconds, problems } = result;
  const fine = problems.length === 0;
  return {
    fine,
    text: [
      'lost because of',
      ...[...losses].map(([why, count]) => `  ${String(count).padStart(6)} ${why}`),
      ...problems.slice(0, PROBLEMS_SHOWN).map((problem) => `WRONG ${problem}`),
      `${reconnects} reconnects of ${streams} streams in ${seconds.toFixed(0)} s; ${alerts} alerts, ` +
        `${changes} requests of readers: ${fine ? 'nothing missing, nothing twice' : `${problems.length} PROBLEMS`}`,
    ].join('\n'),
    json: { seed, ...result, losses: Object.fromEntries(losses) },
  };
}

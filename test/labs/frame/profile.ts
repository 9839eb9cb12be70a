// Reads V8's CPU profiles: which functions of a role the time went to.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../../services/lib/root.js';

interface Profile {
  readonly nodes: readonly {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Loading modules is no hot spot. */
const START_MICROS = 3_000_000;
const IDLE = new Set(['(idle)', '(root)']);

/**
 * @returns Markdown: for each profile in the folder, the functions with the most time of their own, without idle time
 */
export function hotSpots(folder: string, top: number): string {
  if (!existsSync(folder)) return '';
  return readdirSync(folder)
    .filter((file) => file.endsWith('.cpuprofile'))
    .sort()
    .map((file) => `${file}:\n\n${describe(JSON.parse(readFileSync(join(folder, file), 'utf8')) as Profile, top)}\n`)
    .join('\n');
}

function describe({ nodes, samples, timeDeltas }: Profile, top: number): string {
  const byId = new Map(nodes.map((node) => [node.id, node.callFrame]));
  const micros = new Map<string, number>();
  let elapsed = 0;
  samples.forEach((id, index) => {
    elapsed += timeDeltas[index] ?? 0;
    if (elapsed < START_MICROS) return;
    const { functionName, url, lineNumber } = byId.get(id)!;
    if (IDLE.has(functionName)) return;
    const place = url === '' ? '' : ` ${url.replace('file://', '').replace(`${ROOT}/`, '')}:${lineNumber + 1}`;
    const name = `${functionName || '(anonymous)'}${place}`;
    micros.set(name, (micros.get(name) ?? 0) + (timeDeltas[index] ?? 0));
  });
  const total = [...micros.values()].reduce((sum, value) => sum + value, 0);
  const lines = [...micros]
    .sort(([, a], [, b]) => b - a)
    .slice(0, top)
    .map(([name, value]) => `- ${((value / total) * 100).toFixed(1)} % ${name}`);
  return [`${(total / 1e6).toFixed(1)} s of CPU in JavaScript's thread`, ...lines].join('\n');
}

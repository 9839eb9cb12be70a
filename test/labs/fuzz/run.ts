// `npm run fuzz`: feeds the service with seeded inputs on the real stack; see README.md.
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { fuzz, PARTS, type FuzzResult, type Part } from './fuzz.js';

const HELP = `npm run fuzz -- [options]

  --inputs N     how many; 100000
  --seed N       the same choices, as far as the answers come alike; otherwise a new one each time
  --only NAME,…  these parts alone: ${PARTS.join(', ')}
  --rounds N     into how many rounds the inputs are divided; 4
  --json FILE    writes counts, failures and memory
`;

function readOptions() {
  const { values } = parseArgs({
    options: {
      inputs: { type: 'string', default: '100000' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      only: { type: 'string', default: PARTS.join() },
      rounds: { type: 'string', default: '4' },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const number = (name: 'inputs' | 'seed' | 'rounds') => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a whole number above 0`);
    return value;
  };
  const parts = values.only.split(',') as Part[];
  const unknown = parts.filter((part) => !PARTS.includes(part));
  if (unknown.length > 0) throw new Error(`there is no part ${unknown.join(', ')}; see --help`);
  return { ...values, inputs: number('inputs'), seed: number('seed'), rounds: number('rounds'), parts };
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

async function main(): Promise<number> {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  // Each daemon and each role adds a listener for the end of this process.
  process.setMaxListeners(30);
  const say = (line: string) => process.stderr.write(`${line}\n`);
  say(`seed ${options.seed}, ${options.inputs} inputs`);
  const result = await fuzz({ ...options, say });
  const { report, seconds, footprints } = result;
  process.stdout.write(`${report.table()}\n${memoryTable(result)}\n`);
  if (options.json !== undefined) {
    const counts = Object.fromEntries([...report.counts].map(([part, entries]) => [part, Object.fromEntries(entries)]));
    const memory = footprints.map((round) => Object.fromEntries(round));
    const { inputs, failed, failures } = report;
    await writeFile(
      options.json,
      JSON.stringify({ seed: options.seed, inputs, seconds, failed, failures, counts, memory }, null, 2),
    );
  }
  const verdict = report.failed === 0 ? 'no failure' : `${report.failed} FAILURES; again with --seed ${options.seed}`;
  process.stdout.write(`\n${report.inputs} inputs in ${seconds.toFixed(0)} s, seed ${options.seed}: ${verdict}\n`);
  return report.failed === 0 ? 0 : 1;
}

process.exit(
  await main().catch((error: Error) => {
    process.stderr.write(`${error.message}\n`);
    return 2;
  }),
);

// `npm run traces`: what tracing costs; see README.md.
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../../services/lib/root.js';
import { Bench } from '../bench/bench.js';
import { Figures, writeFigures } from '../bench/figures.js';
import { hotSpots } from '../bench/profile.js';
import { Collectors } from './collectors.js';
import { measureCost } from './cost.js';

const README = join(ROOT, 'test', 'traces', 'README.md');

const say = (line: string) => process.stderr.write(`${line}\n`);

function readOptions() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '10' },
      users: { type: 'string', default: '1000' },
      json: { type: 'string' },
      markdown: { type: 'boolean', default: false },
      profile: { type: 'string' },
    },
  });
  const number = (name: 'rounds' | 'seconds' | 'users') => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a whole number above 0`);
    return value;
  };
  return {
    bench: {
      rounds: number('rounds'),
      seconds: number('seconds'),
      users: number('users'),
      variables: {},
      profiles: values.profile === undefined ? undefined : resolve(values.profile),
    },
    json: values.json,
    markdown: values.markdown,
  };
}

async function main(): Promise<void> {
  const options = readOptions();
  const abort = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (abort.signal.aborted) process.exit(1);
      abort.abort(new Error(`interrupted by ${name}`));
    });
  }
  const dir = await mkdtemp(join(tmpdir(), 'ssom-traces-'));
  // PostgreSQL runs as another user if we are root.
  await chmod(dir, 0o711);
  const bench = new Bench(options.bench, dir, abort.signal, say);
  const figures = new Figures();
  let collectors: Collectors | undefined;
  try {
    say('starting Kafka, PostgreSQL, the registry, Jaeger and the collector');
    await bench.startStack();
    collectors = await Collectors.start(dir);
    await measureCost(bench, collectors, figures);
    const { rounds, seconds, users, profiles } = options.bench;
    const markdown = figures.toMarkdown([
      `Node ${process.version}, ${await bench.versions()}; ${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}); ` +
        `${users} connected users; ${rounds} rounds of ${seconds} s; ${new Date().toISOString().slice(0, 10)}.`,
    ]);
    process.stdout.write(`${markdown}\n`);
    if (profiles !== undefined) {
      for (const way of ['off', 'everything']) process.stdout.write(`${way}\n\n${hotSpots(join(profiles, way), 20)}\n`);
    }
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(figures.toJson(), null, 2)}\n`);
    if (options.markdown) await writeFigures(README, markdown);
  } finally {
    await bench.close();
    await collectors?.close();
    await rm(dir, { recursive: true, force: true });
  }
}

await main().catch((error: unknown) => {
  say((error as Error).stack ?? String(error));
  process.exitCode = 1;
});

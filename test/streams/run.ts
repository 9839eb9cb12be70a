// `npm run streams`: what one gateway holds and stands; see services/stream-gateway/README.md.
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ROOT } from '../../services/lib/root.js';
import { Bench, type BenchOptions, type Scenario } from '../bench/bench.js';
import { Figures, writeFigures } from '../bench/figures.js';
import { fanOut } from './fan-out.js';
import { herd } from './herd.js';
import { idle } from './idle.js';
import { leak } from './leak.js';
import { skip } from './skip.js';
import { stalled } from './stalled.js';

const PARTS: readonly Scenario[] = [idle, fanOut, skip, herd, stalled, leak];
const README = join(ROOT, 'services', 'stream-gateway', 'README.md');
/** The most files that one of our processes opens: 5,000 connections of their own, and what else it needs. */
const FILES = 6000;

const HELP = `npm run streams -- [part …] [options]

  parts: ${PARTS.map(({ name }) => name).join(', ')}; all without any

  --streams N      idle streams, and streams of the herd; 20000. The other parts take fewer if it is less than they want
  --rounds N       rounds of each measurement; 3
  --seconds N      of one measurement; 10
  --json FILE      writes every round's value
  --markdown       writes the tables into services/stream-gateway/README.md too
  --profile DIR    the roles write CPU profiles there (the figures suffer)
`;

const say = (line: string) => process.stderr.write(`${line}\n`);

function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      streams: { type: 'string', default: '20000' },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '10' },
      json: { type: 'string' },
      markdown: { type: 'boolean', default: false },
      profile: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const number = (name: 'streams' | 'rounds' | 'seconds') => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a whole number above 0`);
    return value;
  };
  const unknown = positionals.filter((part) => PARTS.every(({ name }) => name !== part));
  if (unknown.length > 0) throw new Error(`there is no part ${unknown.join(', ')}; see --help`);
  const bench: BenchOptions = {
    rounds: number('rounds'),
    seconds: number('seconds'),
    users: number('streams'),
    profiles: values.profile,
    variables: { STREAMS_MAX: '100000' },
    preload: fileURLToPath(new URL('./inspect.js', import.meta.url)),
  };
  const parts = PARTS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  return { bench, parts, help: values.help, json: values.json, markdown: values.markdown };
}

/** Node raises the soft limit itself; the hard one is the user's. @throws if it is too low */
function requireFiles(): void {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1] ?? '';
  if (hard === 'unlimited' || Number(hard) >= FILES) return;
  throw new Error(`a process may open ${hard} files here, and ${FILES} are needed; raise it: ulimit -n ${FILES}`);
}

async function main(): Promise<number> {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  requireFiles();
  const abort = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (abort.signal.aborted) process.exit(1);
      abort.abort(new Error(`interrupted by ${name}`));
    });
  }
  const dir = await mkdtemp(join(tmpdir(), 'ssom-streams-'));
  // PostgreSQL runs as another user if we are root.
  await chmod(dir, 0o711);
  const bench = new Bench(options.bench, dir, abort.signal, say);
  const figures = new Figures();
  try {
    say('starting Kafka, PostgreSQL and the registry');
    await bench.startStack();
    const environment = await describeMachine(bench);
    let failed = false;
    for (const part of options.parts) failed = !(await runPart(part, bench, figures)) || failed;
    const markdown = figures.toMarkdown([`${environment}; ${options.bench.rounds} rounds.`]);
    process.stdout.write(`${markdown}\n`);
    if (options.json !== undefined) {
      const result = { environment, ...(figures.toJson() as object) };
      await writeFile(options.json, `${JSON.stringify(result, null, 2)}\n`);
    }
    if (options.markdown) await writeFigures(README, markdown);
    return failed ? 1 : 0;
  } finally {
    await bench.close();
    await rm(dir, { recursive: true, force: true });
  }
}

async function describeMachine(bench: Bench): Promise<string> {
  const cores = `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GB`;
  const load = `load average ${loadavg()[0]!.toFixed(1)} at the start`;
  return `Node ${process.version}, ${await bench.versions()}; ${cores}, ${load}; ${new Date().toISOString().slice(0, 10)}`;
}

/** A part that fails is reported and does not keep the others from running. */
async function runPart(part: Scenario, bench: Bench, figures: Figures): Promise<boolean> {
  say(part.name);
  try {
    await part.run(bench, figures);
    return true;
  } catch (error) {
    if (bench.signal.aborted) throw error;
    say(`${part.name} failed: ${(error as Error).stack}`);
    figures.note(`${part.name} failed: ${(error as Error).message.split('\n')[0]}`);
    return false;
  } finally {
    await bench.stopProcesses();
  }
}

process.exitCode = await main().catch((error: unknown) => {
  say((error as Error).message);
  return 1;
});

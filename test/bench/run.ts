// `npm run bench`: measures the service on the real stack; see README.md.
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../../services/lib/root.js';
import { Bench, type Scenario } from './bench.js';
import { Figures, writeFigures } from './figures.js';
import { hotSpots } from './profile.js';
import { createDurable } from './scenarios/create-durable.js';
import { latency } from './scenarios/latency.js';
import { start } from './scenarios/start.js';
import { broadcast, singleBatch, singleUnary } from './scenarios/throughput.js';

const SCENARIOS: readonly Scenario[] = [createDurable, broadcast, singleUnary, singleBatch, latency, start];

const README = join(ROOT, 'test', 'bench', 'README.md');

const HELP = `npm run bench -- [options]

  --only NAME,…    these scenarios alone: ${SCENARIOS.map(({ name }) => name).join(', ')}
  --rounds N       rounds of each measurement; 5
  --seconds N      of one measurement; 10
  --users N        connected users; 1000
  --json FILE      writes every round's value
  --markdown       writes the tables into test/bench/README.md too
  --set NAME=VALUE a variable of the service, such as KAFKA_PRODUCER_LINGER_MS=5; may be repeated
  --profile DIR    the roles write CPU profiles there, and their hot spots are printed (the figures suffer)
`;

const say = (line: string) => process.stderr.write(`${line}\n`);

function readOptions() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: '' },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '10' },
      users: { type: 'string', default: '1000' },
      json: { type: 'string' },
      markdown: { type: 'boolean', default: false },
      profile: { type: 'string' },
      set: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const number = (name: 'rounds' | 'seconds' | 'users') => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a whole number above 0`);
    return value;
  };
  const names = values.only === '' ? [] : values.only.split(',');
  const unknown = names.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name));
  if (unknown.length > 0) throw new Error(`there is no scenario ${unknown.join(', ')}; see --help`);
  const variables = values.set.map((text) => {
    const at = text.indexOf('=');
    if (at < 1) throw new Error(`--set wants NAME=VALUE, not ${text}`);
    return [text.slice(0, at), text.slice(at + 1)] as const;
  });
  return {
    help: values.help,
    scenarios: SCENARIOS.filter(({ name }) => names.length === 0 || names.includes(name)),
    bench: {
      rounds: number('rounds'),
      seconds: number('seconds'),
      users: number('users'),
      variables: Object.fromEntries(variables),
      profiles: values.profile === undefined ? undefined : resolve(values.profile),
    },
    json: values.json,
    markdown: values.markdown,
  };
}

async function main(): Promise<number> {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const abort = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (abort.signal.aborted) process.exit(1);
      say(`${name}: stopping what was started; again ends at once`);
      abort.abort(new Error(`interrupted by ${name}`));
    });
  }
  const dir = await mkdtemp(join(tmpdir(), 'ssom-bench-'));
  // PostgreSQL runs as another user if we are root.
  await chmod(dir, 0o711);
  const bench = new Bench(options.bench, dir, abort.signal, say);
  const figures = new Figures();
  let failed = false;
  try {
    say('starting Kafka, PostgreSQL and the registry');
    await bench.startStack();
    const environment = {
      date: new Date().toISOString(),
      node: process.version,
      stack: await bench.versions(),
      cores: cpus().length,
      model: cpus()[0]?.model ?? 'unknown',
      memoryGb: Math.round(totalmem() / 2 ** 30),
      rounds: options.bench.rounds,
      seconds: options.bench.seconds,
      users: options.bench.users,
      variables: options.bench.variables,
    };
    const changed = Object.entries(environment.variables).map(([name, value]) => `${name}=${value}; `);
    for (const scenario of options.scenarios) {
      abort.signal.throwIfAborted();
      say(scenario.name);
      failed = !(await runScenario(scenario, bench, figures)) || failed;
    }
    const markdown = figures.toMarkdown([
      `Node ${environment.node}, ${environment.stack}; ${environment.cores} cores (${environment.model}), ` +
        `${environment.memoryGb} GB; ${environment.users} connected users; ${environment.rounds} rounds of ${environment.seconds} s; ${changed.join('')}${environment.date.slice(0, 10)}.`,
    ]);
    process.stdout.write(`${markdown}\n`);
    if (options.bench.profiles !== undefined) {
      for (const { name } of options.scenarios) {
        process.stdout.write(`${hotSpots(join(options.bench.profiles, name), 12)}\n`);
      }
    }
    if (options.json !== undefined) {
      await writeFile(options.json, `${JSON.stringify({ environment, ...(figures.toJson() as object) }, null, 2)}\n`);
    }
    if (options.markdown) {
      await writeFigures(README, markdown);
      say(`${README} has the new figures`);
    }
    return failed ? 1 : 0;
  } finally {
    await bench.close();
    await rm(dir, { recursive: true, force: true });
  }
}

/** A scenario that fails is reported and does not keep the others from running. */
async function runScenario(scenario: Scenario, bench: Bench, figures: Figures): Promise<boolean> {
  try {
    await scenario.run(bench, figures);
    return true;
  } catch (error) {
    if (bench.signal.aborted) throw error;
    say(`${scenario.name} failed: ${(error as Error).stack}`);
    figures.note(`${scenario.name} failed: ${(error as Error).message.split('\n')[0]}`);
    return false;
  } finally {
    await bench.stopProcesses();
  }
}

process.exitCode = await main().catch((error: unknown) => {
  say((error as Error).message);
  return 1;
});

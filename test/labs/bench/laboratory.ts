// What `npm run bench`, `streams` and `traces` have in common: their command line, the stack, and where figures go.
import { existsSync, readdirSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../../../services/lib/root.js';
import { Bench, type BenchOptions, type Scenario } from './bench.js';
import { Figures, writeFigures } from './figures.js';
import { hotSpots } from './profile.js';

/** Functions of each role that are named of a profile. */
const HOT_SPOTS = 15;

export interface Laboratory {
  /** As in `npm run NAME`. */
  readonly name: string;
  /** What can be measured; all of it unless some is named. */
  readonly scenarios: readonly Scenario[];
  /** Where --markdown writes the tables. */
  readonly readme: string;
  readonly rounds: number;
  readonly users: number;
  /** More about the users, for --help. */
  readonly usersAre: string;
  /** What differs from the defaults in each role. */
  readonly fixed?: Pick<BenchOptions, 'preload'> & Partial<Pick<BenchOptions, 'variables'>>;
  /** @throws if this machine cannot do it */
  readonly check?: () => void;
}

interface Options {
  readonly help: boolean;
  readonly scenarios: readonly Scenario[];
  readonly bench: BenchOptions;
  readonly json: string | undefined;
  readonly markdown: boolean;
}

const say = (line: string) => process.stderr.write(`${line}\n`);

function helpOf({ name, scenarios, rounds, users, usersAre, readme }: Laboratory): string {
  return `npm run ${name} -- [part …] [options]

  parts: ${scenarios.map((scenario) => scenario.name).join(', ')}; all without any

  --rounds N       rounds of each measurement; ${rounds}
  --seconds N      of one measurement; 10
  --users N        ${usersAre}; ${users}
  --json FILE      writes every round's value
  --markdown       writes the tables into ${relative(ROOT, readme)} too
  --set NAME=VALUE a variable of the service, such as KAFKA_PRODUCER_LINGER_MS=5; may be repeated
  --profile DIR    the roles write CPU profiles there, and their hot spots are printed (the figures suffer)
`;
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a whole number above 0, not ${text}`);
  return value;
}

function readVariable(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new Error(`--set wants NAME=VALUE, not ${text}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

function readOptions(laboratory: Laboratory): Options {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: String(laboratory.rounds) },
      seconds: { type: 'string', default: '10' },
      users: { type: 'string', default: String(laboratory.users) },
      json: { type: 'string' },
      markdown: { type: 'boolean', default: false },
      set: { type: 'string', multiple: true, default: [] },
      profile: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const { help, json, markdown, profile } = values;
  const known = laboratory.scenarios.map(({ name }) => name);
  const unknown = positionals.filter((part) => !known.includes(part));
  if (unknown.length > 0) throw new Error(`there is no part ${unknown.join(', ')}; there are ${known.join(', ')}`);
  return {
    help,
    scenarios: laboratory.scenarios.filter(({ name }) => positionals.length === 0 || positionals.includes(name)),
    bench: {
      rounds: wholeNumber('rounds', values.rounds),
      seconds: wholeNumber('seconds', values.seconds),
      users: wholeNumber('users', values.users),
      profiles: profile === undefined ? undefined : resolve(profile),
      ...laboratory.fixed,
      variables: { ...laboratory.fixed?.variables, ...Object.fromEntries(values.set.map(readVariable)) },
    },
    json,
    markdown,
  };
}

/** Runs a laboratory from the command line and sets the exit code: 0 if every part could be measured. */
export async function runLaboratory(laboratory: Laboratory): Promise<void> {
  process.exitCode = 1;
  let options: Options;
  try {
    options = readOptions(laboratory);
  } catch (error) {
    say((error as Error).message);
    return;
  }
  if (options.help) {
    process.stdout.write(helpOf(laboratory));
    process.exitCode = 0;
    return;
  }
  try {
    if (await measure(laboratory, options)) process.exitCode = 0;
  } catch (error) {
    say((error as Error).stack ?? String(error));
  }
}

async function measure({ name, readme, check }: Laboratory, options: Options): Promise<boolean> {
  check?.();
  const signal = abortedByInterrupt();
  const dir = await mkdtemp(join(tmpdir(), `ssom-${name}-`));
  // PostgreSQL runs as another user if we are root.
  await chmod(dir, 0o711);
  const bench = new Bench(options.bench, dir, signal, say);
  const figures = new Figures();
  try {
    say('starting Kafka, PostgreSQL and the registry');
    await bench.startStack();
    const conditions = await describeConditions(bench);
    let complete = true;
    for (const scenario of options.scenarios) {
      signal.throwIfAborted();
      complete = (await runScenario(scenario, bench, figures)) && complete;
    }
    const markdown = figures.toMarkdown([conditions]);
    process.stdout.write(`${markdown}\n`);
    printProfiles(options.bench.profiles);
    if (options.json !== undefined) {
      const result = { conditions, ...(figures.toJson() as object) };
      await writeFile(options.json, `${JSON.stringify(result, null, 2)}\n`);
    }
    if (options.markdown) {
      await writeFigures(readme, markdown);
      say(`${relative(ROOT, readme)} has the new figures`);
    }
    return complete;
  } finally {
    await bench.close();
    await rm(dir, { recursive: true, force: true });
  }
}

function abortedByInterrupt(): AbortSignal {
  const abort = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (abort.signal.aborted) process.exit(1);
      say(`${name}: stopping what was started; again ends at once`);
      abort.abort(new Error(`interrupted by ${name}`));
    });
  }
  return abort.signal;
}

async function describeConditions(bench: Bench): Promise<string> {
  const { options } = bench;
  const cores = `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GB`;
  const changed = Object.entries(options.variables).map(([name, value]) => `${name}=${value}; `);
  return (
    `Node ${process.version}, ${await bench.versions()}; ${cores}, load average ${loadavg()[0]!.toFixed(1)} at the start; ` +
    `${options.users} users; ${options.rounds} rounds of ${options.seconds} s; ${changed.join('')}` +
    `${new Date().toISOString().slice(0, 10)}.`
  );
}

/** A scenario that fails is reported and does not keep the others from running. */
async function runScenario(scenario: Scenario, bench: Bench, figures: Figures): Promise<boolean> {
  say(scenario.name);
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

function printProfiles(folder: string | undefined): void {
  if (folder === undefined || !existsSync(folder)) return;
  for (const each of readdirSync(folder)) {
    process.stdout.write(`${each}\n\n${hotSpots(join(folder, each), HOT_SPOTS)}\n`);
  }
}

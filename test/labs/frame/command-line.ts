// The command line that all laboratories have: flags, parts, --help, where results go, and exit codes.
import { writeFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../../../services/lib/root.js';
import { type Flag, type Flags, isSwitch, text, toggle, type Values } from './flags.js';
import { chosenParts } from './parts.js';
import { writeFigures } from './report.js';

/** What a run found. */
export interface Report {
  /** Whether nothing was wrong. */
  readonly fine: boolean;
  /** For a person, to standard output. */
  readonly text: string;
  /** For a program, with --json. */
  readonly json: unknown;
  /** For a document, with --markdown. */
  readonly markdown?: string;
}

export type Say = (line: string) => void;

export interface Lab<F extends Flags> {
  /** As in `npm run NAME`. */
  readonly name: string;
  /** One line for --help. */
  readonly about: string;
  readonly flags: F;
  /** What can be run alone; all of it unless some is named. */
  readonly parts?: readonly string[];
  /** More names for --list. */
  readonly alsoListed?: readonly string[];
  /** With --markdown: the README that gets the tables, or standard output. */
  readonly markdown?: 'standard output' | { readonly readme: string };
  /** @param say tells how far it is @throws if the run itself fails */
  run(options: Values<F>, chosen: Chosen, say: Say): Promise<Report>;
}

export interface Chosen {
  /** In the order of the lab's own. */
  readonly parts: readonly string[];
  /** Whether the command line named some. */
  readonly some: boolean;
}

const FINE = 0;
const WRONG = 1;
const FAILED = 2;
/** A longer list is for --list. */
const PARTS_SHOWN = 12;

/**
 * Runs a laboratory from the command line and ends this process: 0 nothing was wrong, 1 something was, 2 the run
 * failed.
 */
export async function runLab<F extends Flags>(lab: Lab<F>): Promise<never> {
  let code = FAILED;
  try {
    code = await runWith(lab);
  } catch (error) {
    process.stderr.write(
      `${error instanceof UsageError ? error.message : ((error as Error).stack ?? String(error))}\n`,
    );
  }
  // librdkafka's threads may outlive their client for a while.
  process.exit(code);
}

class UsageError extends Error {}

async function runWith<F extends Flags>(lab: Lab<F>): Promise<number> {
  const { own, options, chosen } = read(lab);
  if (own.help) process.stdout.write(helpOf(lab));
  else if (own.list) process.stdout.write(`${[...(lab.parts ?? []), ...(lab.alsoListed ?? [])].join('\n')}\n`);
  else {
    const report = await lab.run(options, chosen, clock());
    process.stdout.write(`${report.text}\n`);
    if (own.json !== undefined) await writeFile(own.json, `${JSON.stringify(report.json, null, 2)}\n`);
    if (own.markdown) await writeMarkdown(lab, report.markdown ?? '');
    return report.fine ? FINE : WRONG;
  }
  return FINE;
}

/** Writes lines to standard error, each with the seconds since now. */
function clock(): Say {
  const started = performance.now();
  return (line) => {
    const seconds = Math.round((performance.now() - started) / 1000);
    process.stderr.write(`${String(seconds).padStart(5)} s  ${line}\n`);
  };
}

async function writeMarkdown<F extends Flags>({ markdown }: Lab<F>, tables: string): Promise<void> {
  if (typeof markdown === 'object') {
    await writeFigures(markdown.readme, tables);
    process.stderr.write(`${relative(ROOT, markdown.readme)} has the new figures\n`);
  } else process.stdout.write(`${tables}\n`);
}

/** The flags that every laboratory has, some only if it has parts or tables. */
const OWN = {
  only: text('NAME,…', 'the same as naming parts; a name stands for all parts that begin so'),
  list: toggle('the names of the parts'),
  json: text('FILE', 'writes the result for a program'),
  markdown: toggle('writes the tables for a document'),
  help: toggle('this text'),
};

function allFlags<F extends Flags>({ flags, parts, markdown }: Lab<F>): Flags {
  const { only, list, json, markdown: tables, help } = OWN;
  const where = typeof markdown === 'object' ? ` into ${relative(ROOT, markdown.readme)}` : '';
  return {
    ...flags,
    ...(parts === undefined ? {} : { only, list }),
    json,
    ...(markdown === undefined ? {} : { markdown: { ...tables, help: `${tables.help}${where}` } }),
    help,
  };
}

function helpOf<F extends Flags>(lab: Lab<F>): string {
  const { name, about, parts } = lab;
  const lines = Object.entries(allFlags(lab)).map(
    ([flag, { takes, help }]) => [`${flag} ${takes}`.trim(), help] as const,
  );
  const width = Math.max(...lines.map(([flag]) => flag.length)) + 2;
  const few = parts !== undefined && parts.length <= PARTS_SHOWN;
  return [
    `npm run ${name} -- ${parts === undefined ? '' : '[part …] '}[options]: ${about}`,
    few ? `\n  parts: ${parts.join(', ')}; all without any\n` : '',
    ...lines.map(([flag, help]) => `  --${flag.padEnd(width)}${help}`),
    '\nExit code 0: nothing was wrong; 1: something was; 2: the run itself failed.\n',
  ].join('\n');
}

function read<F extends Flags>(lab: Lab<F>) {
  const flags = allFlags(lab);
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: lab.parts !== undefined,
      options: Object.fromEntries(Object.entries(flags).map(([name, flag]) => [name, parseOption(name, flag)])),
    });
    const readAll = <G extends Flags>(some: G) =>
      Object.fromEntries(
        Object.entries(some).map(([name, flag]) => [name, flag.read(values[name] as never, name)]),
      ) as Values<G>;
    const own = readAll(OWN);
    const names = [...positionals, ...(own.only?.split(',').map((name) => name.trim()) ?? [])];
    const chosen = { parts: chosenParts(lab.parts ?? [], names), some: names.length > 0 };
    return { own, options: readAll(lab.flags), chosen };
  } catch (error) {
    throw new UsageError(`${(error as Error).message}; npm run ${lab.name} -- --help`);
  }
}

function parseOption(name: string, flag: Flag<unknown>) {
  const type = isSwitch(flag) ? ('boolean' as const) : ('string' as const);
  return { type, multiple: type === 'string', ...(name === 'help' ? { short: 'h' } : {}) };
}

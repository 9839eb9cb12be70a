// Laboratories that measure: scenarios in rounds on the real stack, and a table of medians. `bench`, `streams`,
// `traces`.
import { existsSync, readdirSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { startKafka } from '#stack';
import { privateStart } from '../../support/stack.js';
import { Bench, type BenchOptions, type Scenario } from './bench.js';
import type { Lab, Report, Say } from './command-line.js';
import { Figures } from './figures.js';
import { count, folder, variables } from './flags.js';
import { hotSpots } from './profile.js';
import { withStack } from './stack.js';

/** Functions of each role that are named of a profile. */
const HOT_SPOTS = 15;

export interface Measurement {
  /** As in `npm run NAME`. */
  readonly name: string;
  readonly about: string;
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

const flagsOf = ({ rounds, users, usersAre }: Measurement) => ({
  rounds: count(rounds, 'rounds of each measurement'),
  seconds: count(10, 'of one measurement'),
  users: count(users, usersAre),
  set: variables('a variable of the service, such as KAFKA_PRODUCER_LINGER_MS=5; may be repeated'),
  profile: folder('the roles write CPU profiles there, and their hot spots are printed (the figures suffer)'),
});

/** @returns a laboratory that is fine if every scenario could be measured; limits that are not met are in its table */
export function measurement(what: Measurement): Lab<ReturnType<typeof flagsOf>> {
  const { name, about, scenarios, readme, fixed, check } = what;
  return {
    name,
    about,
    flags: flagsOf(what),
    parts: scenarios.map((scenario) => scenario.name),
    markdown: { readme },
    async run({ rounds, seconds, users, set, profile }, { parts }, say) {
      check?.();
      const options = {
        rounds,
        seconds,
        users,
        profiles: profile,
        ...fixed,
        variables: { ...fixed?.variables, ...set },
      };
      return measure(
        scenarios.filter((scenario) => parts.includes(scenario.name)),
        options,
        say,
      );
    },
  };
}

/** Kafka as the stack has it for a person, with no topics yet: each scenario makes its own. */
const kafka = (dir: string) => startKafka({ ...privateStart(dir), port: 0, controllerPort: 0 });

async function measure(scenarios: readonly Scenario[], options: BenchOptions, say: Say): Promise<Report> {
  say('starting Kafka, PostgreSQL and the registry');
  return withStack({ kafka }, async (stack) => {
    const bench = new Bench(options, stack, say);
    const figures = new Figures();
    const conditions = await describeConditions(bench);
    let fine = true;
    for (const scenario of scenarios) fine = (await runScenario(scenario, bench, figures)) && fine;
    const markdown = figures.toMarkdown([conditions]);
    return {
      fine,
      markdown,
      text: [markdown, ...profilesIn(options.profiles)].join('\n'),
      json: { conditions, ...figures.toJson() },
    };
  });
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
  bench.say(scenario.name);
  try {
    await scenario.run(bench, figures);
    return true;
  } catch (error) {
    bench.say(`${scenario.name} failed: ${(error as Error).stack}`);
    figures.note(`${scenario.name} failed: ${(error as Error).message.split('\n')[0]}`);
    return false;
  } finally {
    await bench.stopProcesses();
  }
}

function profilesIn(where: string | undefined): string[] {
  if (where === undefined || !existsSync(where)) return [];
  return readdirSync(where).map((each) => `${each}\n\n${hotSpots(join(where, each), HOT_SPOTS)}`);
}

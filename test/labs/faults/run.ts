import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { DEFECTS } from './defects.js';
import { FAULTS } from './faults.js';
import { FaultRun, type FaultReport } from './fault-run.js';
import { KINDS } from './findings.js';
import { proveDefect } from './prove-defect.js';
import { toMarkdown } from './report.js';

const HELP = `npm run faults -- [options]: does everything to the service that may happen to it, and looks for what got lost.

  --minutes N      random faults for N minutes after the listed ones; default 30
  --only NAMES     only the faults whose names begin so, separated by commas; with --minutes also at random
  --seed S         the same choices again; default: by chance, and printed
  --rate N         alerts a second; default 15
  --brokers N      3 (default) or 1
  --defect NAME    wires the service wrongly, and expects to be told so: a name, or all
  --control        with --defect: the same fault without the defect, which must find nothing
  --json FILE      writes everything as JSON
  --markdown       prints the table for a document
  --list           the names of the faults and defects`;

const started = performance.now();
const log = (line: string) => {
  const seconds = Math.round((performance.now() - started) / 1000);
  process.stderr.write(`${String(seconds).padStart(5)} s  ${line}\n`);
};

function printResult(report: FaultReport): void {
  const { alerts, userAlerts, changes, replays, streamLosses, poison, found, seconds, seed } = report;
  process.stdout.write(
    `${alerts} alerts, ${userAlerts} entries of inboxes, ${changes} changes by readers, ${replays} repeated requests, ` +
      `${streamLosses} lost streams, ${poison} records of poison, ${report.faults.length} faults in ${seconds} s; seed ${seed}\n`,
  );
  for (const [kind, meaning] of Object.entries(KINDS))
    process.stdout.write(`${String(found[kind] ?? 0).padStart(6)}  ${kind.padEnd(16)} ${meaning}\n`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string' },
      only: { type: 'string' },
      seed: { type: 'string' },
      rate: { type: 'string', default: '15' },
      brokers: { type: 'string', default: '3' },
      defect: { type: 'string' },
      control: { type: 'boolean', default: false },
      json: { type: 'string' },
      markdown: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return (process.stdout.write(`${HELP}\n`), 0);
  if (values.list) {
    process.stdout.write(`${[...FAULTS, ...DEFECTS].map(({ name }) => name).join('\n')}\n`);
    return 0;
  }
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
  if (!Number.isSafeInteger(seed)) throw new Error(`--seed ${values.seed}: a whole number`);
  const alertsPerSecond = Number(values.rate);
  if (!(alertsPerSecond > 0)) throw new Error(`--rate ${values.rate}: alerts a second, above 0`);

  if (values.defect !== undefined) {
    const chosen = DEFECTS.filter(({ name }) => values.defect === 'all' || name === values.defect);
    if (chosen.length === 0)
      throw new Error(`--defect ${values.defect}: one of ${DEFECTS.map(({ name }) => name).join(', ')}, all`);
    let failed = 0;
    for (const defect of chosen) {
      if (values.control && !(await proveDefect(defect, { seed, log, control: true }))) failed += 1;
      if (!(await proveDefect(defect, { seed, log }))) failed += 1;
    }
    return failed === 0 ? 0 : 1;
  }

  const names = values.only?.split(',').map((name) => name.trim());
  const faults =
    names === undefined ? FAULTS : FAULTS.filter(({ name }) => names.some((each) => name.startsWith(each)));
  if (faults.length === 0) throw new Error(`--only ${values.only}: no fault has such a name; --list shows them`);
  const minutes = Number(values.minutes ?? (names === undefined ? 30 : 0));
  if (!(minutes >= 0)) throw new Error(`--minutes ${values.minutes}: a number of minutes`);
  const brokers = values.brokers === '1' ? 1 : 3;
  log(`seed ${seed}`);
  const run = await FaultRun.start({ seed, brokers, instances: 2, alertsPerSecond, log });
  let report: FaultReport;
  try {
    await run.listed(faults);
    if (minutes > 0) await run.random(minutes, faults);
    log('the traffic stops; everything is held against the ledger');
    report = await run.finish();
  } finally {
    await run.close();
  }
  // What ended badly is known only now.
  report = { ...report, found: Object.fromEntries(run.findings.counts), details: run.findings.details };
  printResult(report);
  if (values.markdown) process.stdout.write(toMarkdown(report));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
  return run.findings.total === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${(error as Error).stack ?? String(error)}\n`);
  process.exitCode = 2;
}
// librdkafka's threads may outlive their client for a while.
process.exit();

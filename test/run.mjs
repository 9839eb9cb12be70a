// `npm test`, after the set-up: the cheap checks, then the tests in Node's own runner.
//
//   npm test                        everything
//   npm test -- inbox fanout        only the test files whose path has one of these words, and no checks
//   npm test -- --only unit         one part: checks, unit, embedded or real
//   npm test -- --embedded          all but the tests that need the real stack
//   npm test -- --no-checks         the tests alone
//
// Tests below test/real need Kafka, PostgreSQL and their like as they run in production, and have the machine to
// themselves: one file at a time, last. All others bring what they need and run three files at a time.
// With CI=true a skipped test counts as a failed one: there everything is installed, so nothing has a reason to skip.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { parseArgs } from 'node:util';
import { childEnv, NODE_MODULES, npmCli, ROOT, seconds } from '../deploy/tools/setup/common.mjs';

const PARTS = ['checks', 'unit', 'embedded', 'real'];
const COMPILED = join(ROOT, '.build', 'test');
/**
 * A file in which no test has ended for so long hangs, most likely on a handle that its tests did not close. Its whole
 * time says nothing of that: 22 tests of 3 s each took 190 s on a machine with load 20. The longest wait in a test is
 * of 60 s, and five times that on a busy machine (`patience`).
 */
const TIMEOUT_MS = { embedded: 360_000, real: 600_000 };
/** For one file, whatever it does: also for one that gives its own guard no turn. */
const FILE_MAX_MS = 1_200_000;

/**
 * Loaded into each test file's process: ends one that hangs, and says what it holds open. Node's --test-timeout is
 * per file in Node 20 only; later ones apply it to each test and wait without end for a file that leaks.
 * The timer is unref'd: it keeps nothing alive by itself.
 */
const hangGuard = (/** @type {number} */ ms) =>
  `data:text/javascript,${encodeURIComponent(`
    import { afterEach } from 'node:test';
    if (process.env.NODE_TEST_CONTEXT) {
      const guard = setTimeout(() => {
        console.error('\\nhangs, no test ended in ${ms / 1000} s:', process.argv[1], 'holds', process.getActiveResourcesInfo().join(' '));
        process.exit(1);
      }, ${ms}).unref();
      afterEach(() => void guard.refresh());
    }`)}`;

const bin = (/** @type {string} */ name) => join(NODE_MODULES, '.bin', name);
const npmRun = (/** @type {string} */ script, /** @type {string[]} */ ...args) => [
  process.execPath,
  npmCli(),
  'run',
  '--silent',
  script,
  ...(args.length > 0 ? ['--', ...args] : []),
];

/** `config`: one of these files must exist, for tools that would otherwise check by rules of their own. */
const CHECKS = [
  {
    name: 'format (prettier)',
    command: [bin('prettier'), '--check', '--log-level', 'warn', '.'],
    config: ['.prettierrc', '.prettierrc.json', 'prettier.config.mjs', 'prettier.config.js'],
  },
  { name: 'lint (eslint)', command: [bin('eslint'), '--max-warnings', '0', '.'] },
  {
    name: 'import graph (dependency-cruiser)',
    command: [bin('depcruise'), 'services', '--config', '.dependency-cruiser.cjs'],
  },
  { name: 'protocol (buf lint)', command: [bin('buf'), 'lint'], config: ['buf.yaml', 'proto/buf.yaml'] },
  { name: 'generated types are current', command: npmRun('generate', '--check') },
  {
    name: 'schemas (every pair of versions, rules)',
    command: [process.execPath, join(ROOT, 'deploy', 'tools', 'setup', 'ssom-alert.mjs'), 'schemas', 'check'],
  },
  { name: 'generated docs are current', command: npmRun('docs:check') },
  {
    name: 'packages (lock, licences)',
    command: [process.execPath, join(ROOT, 'deploy', 'tools', 'check-packages.mjs')],
  },
  {
    name: 'what was released (protos, schemas, migrations)',
    command: [process.execPath, join(ROOT, 'deploy', 'release', 'check.mjs')],
  },
  { name: 'documents (links, tables)', command: [process.execPath, join(ROOT, 'deploy', 'tools', 'check-docs.mjs')] },
];

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/**
 * @param {{ name: string, command: string[], config?: string[] }} check
 * @returns {Promise<{ ok: boolean, output: string }>}
 */
async function runCheck({ command, config }) {
  if (config !== undefined && !config.some((file) => existsSync(join(ROOT, file)))) {
    return { ok: false, output: `there is no ${config.join(', ')}\n` };
  }
  const [program = '', ...args] = command;
  return await new Promise((resolve) => {
    const child = spawn(program, args, { cwd: ROOT, env: childEnv(), stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    child.on('error', (error) => resolve({ ok: false, output: `${error.message}\n` }));
    child.on('close', (code) => resolve({ ok: code === 0, output }));
  });
}

/** Two checks at a time, each printed whole when it ends. @returns {Promise<Counts>} */
async function runChecks() {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const waiting = [...CHECKS];
  const lane = async () => {
    for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
      const started = performance.now();
      const { ok, output } = await runCheck(check);
      counts[ok ? 'passed' : 'failed'] += 1;
      process.stdout.write(`${ok ? 'ok    ' : 'FAILED'} ${check.name} (${seconds(started)})\n${ok ? '' : output}`);
    }
  };
  process.stdout.write('== checks\n');
  await Promise.all([lane(), lane()]);
  return counts;
}

/** @returns {{ file: string, part: string }[]} the compiled test files, paths relative to the checkout, sorted */
function testFiles() {
  if (!existsSync(COMPILED)) return [];
  return readdirSync(COMPILED, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.js'))
    .sort()
    .map((file) => {
      const folder = file.split(sep)[0] ?? '';
      // test/integration and the like need no more than test/embedded: they bring their own PostgreSQL.
      return { file: join('.build', 'test', file), part: folder === 'unit' || folder === 'real' ? folder : 'embedded' };
    });
}

/**
 * @param {string} heading
 * @param {string[]} files
 * @param {{ concurrency: number, timeoutMs: number }} limits
 * @returns {Promise<Counts>}
 */
async function runTests(heading, files, { concurrency, timeoutMs }) {
  const started = performance.now();
  process.stdout.write(`\n== ${heading}: ${files.length} files\n`);
  const folder = mkdtempSync(join(tmpdir(), 'ssom-test-'));
  const tap = join(folder, 'results.tap');
  try {
    const child = spawn(
      process.execPath,
      [
        '--test',
        '--enable-source-maps',
        `--test-concurrency=${concurrency}`,
        `--import=${hangGuard(timeoutMs)}`,
        `--test-timeout=${FILE_MAX_MS}`,
        ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
        ...['--test-reporter=tap', `--test-reporter-destination=${tap}`], // for the counts
        ...files,
      ],
      { cwd: ROOT, env: childEnv({ UV_THREADPOOL_SIZE: process.env['UV_THREADPOOL_SIZE'] ?? '16' }), stdio: 'inherit' },
    );
    const code = await new Promise((resolve) => {
      child.on('error', () => resolve(1));
      child.on('close', resolve);
    });
    const counts = readCounts(tap);
    // It can fail otherwise too, as when it is killed.
    if (code !== 0 && counts.failed === 0) counts.failed = 1;
    process.stdout.write(`== ${heading}: ${seconds(started)}\n`);
    return counts;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} tap the file that Node's TAP reporter wrote @returns {Counts} of the runner's closing lines */
function readCounts(tap) {
  const text = existsSync(tap) ? readFileSync(tap, 'utf8') : '';
  const count = (/** @type {string} */ name) => {
    const found = [...text.matchAll(new RegExp(`^# ${name} (\\d+)$`, 'gm'))].at(-1);
    return found === undefined ? 0 : Number(found[1]);
  };
  const skipped = count('skipped') + count('todo');
  if (skipped > 0) {
    const lines = text.split('\n').filter((line) => /^\s*(not )?ok \d+ .*# (SKIP|TODO)\b/.test(line));
    process.stdout.write(`skipped:\n${lines.map((line) => `  ${line.trim()}\n`).join('')}`);
  }
  return { passed: count('pass'), failed: count('fail') + count('cancelled'), skipped };
}

/** @returns {Promise<number>} the exit code */
async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string' },
      embedded: { type: 'boolean', default: false },
      'no-checks': { type: 'boolean', default: false },
    },
  });
  const { only } = values;
  if (only !== undefined && !PARTS.includes(only)) {
    process.stderr.write(`--only ${only} is none of ${PARTS.join(', ')}\n`);
    return 2;
  }
  const wanted = (/** @type {string} */ part) => (only ?? part) === part && !(values.embedded && part === 'real');
  const files = testFiles().filter(
    ({ file, part }) => wanted(part) && (positionals.length === 0 || positionals.some((word) => file.includes(word))),
  );

  const checks = wanted('checks') && !values['no-checks'] && positionals.length === 0 ? await runChecks() : undefined;
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const run = async (/** @type {string} */ heading, /** @type {string[]} */ parts, /** @type {any} */ limits) => {
    const these = files.filter(({ part }) => parts.includes(part)).map(({ file }) => file);
    if (these.length === 0) return;
    const more = await runTests(heading, these, limits);
    for (const key of /** @type {const} */ (['passed', 'failed', 'skipped'])) counts[key] += more[key];
  };
  await run('tests', ['unit', 'embedded'], { concurrency: 3, timeoutMs: TIMEOUT_MS.embedded });
  await run('tests against the real stack', ['real'], { concurrency: 1, timeoutMs: TIMEOUT_MS.real });

  if (only === 'checks') {
    Object.assign(counts, checks);
  } else {
    if (counts.passed + counts.failed === 0) {
      process.stdout.write('no test ran: is there a file with such a name below test/?\n');
      counts.failed += 1;
    }
    // A failed check counts like a failed test, so that the last line never reads well when something is wrong.
    if (checks !== undefined && checks.failed > 0) {
      process.stdout.write(`\n${checks.failed} of the checks failed, see above\n`);
      counts.failed += checks.failed;
    }
  }
  if (process.env['CI'] === 'true' && counts.skipped > 0) {
    process.stdout.write(`\n${counts.skipped} skipped: with CI=true a skipped test is a failed one\n`);
    counts.failed += counts.skipped;
    counts.skipped = 0;
  }
  process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
  return counts.failed > 0 ? 1 : 0;
}

process.exitCode = await main();

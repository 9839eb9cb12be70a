// Makes a clone ready to run: `npm run setup`, and first thing in `npm start` and `npm test`.
//
// This file keeps to syntax and modules that Node 12 knows and loads everything else only after the version
// check, so that an old Node says what is wrong instead of showing a SyntaxError.
import { realpathSync } from 'fs';
import { fileURLToPath } from 'url';

function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  process.stderr.write(
    `set-up: Node >= 20.19 is needed; this is ${process.versions.node} (${process.execPath}).\n` +
      '        A version manager brings a newer one: nvm install 24, fnm install 24, volta install node@24.\n',
  );
  process.exit(1);
}

/**
 * Brings the checkout to a state in which everything runs: packages, PostgreSQL, Kafka client, compiled sources.
 * Safe to interrupt and to repeat; takes well under a second when there is nothing to do.
 *
 * @param {{ quiet?: boolean }} [options] quiet: print nothing when there is nothing to do
 * @returns {Promise<void>} rejects with an Error named SetupError whose message says what to do
 */
export function setup(options) {
  requireNode();
  return import('./steps.mjs').then((steps) => steps.runSteps(options || {}));
}

/**
 * The same for entry scripts: a failure is printed and ends the process with exit code 1.
 *
 * @param {{ quiet?: boolean }} [options]
 * @returns {Promise<void>}
 */
export function setupOrExit(options) {
  return setup(options).catch((error) => {
    process.stderr.write(`${error.name === 'SetupError' ? `set-up failed: ${error.message}` : error.stack}\n`);
    process.exit(1);
  });
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  setupOrExit({ quiet: process.argv.indexOf('--quiet') !== -1 });
}

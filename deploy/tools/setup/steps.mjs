// The set-up's steps in their order. Each knows by a look that takes milliseconds whether it is needed.
import { constants } from 'node:os';
import { build, buildNeeded } from './build.mjs';
import { killChild, ROOT, seconds } from './common.mjs';
import { bringKafkaClient, kafkaClientNeeded } from './kafka-client.mjs';
import { takeLock } from './lock.mjs';
import { installPackages, packagesNeeded } from './packages.mjs';
import { linkPostgresLibraries, postgresNeeded } from './postgres.mjs';

/** @type {{ needed: () => boolean, perform: () => Promise<void> }[]} */
const STEPS = [
  { needed: packagesNeeded, perform: installPackages },
  { needed: postgresNeeded, perform: linkPostgresLibraries },
  { needed: kafkaClientNeeded, perform: bringKafkaClient },
  { needed: buildNeeded, perform: build },
];

/**
 * @param {{ quiet?: boolean }} options
 * @returns {Promise<void>}
 */
export async function runSteps({ quiet = false }) {
  const started = performance.now();
  process.chdir(ROOT);
  if (!STEPS.some(({ needed }) => needed())) {
    if (!quiet) process.stdout.write(`set-up: nothing to do (${seconds(started)})\n`);
    return;
  }
  const release = await takeLock();
  // Our children lead process groups of their own: a Ctrl-C reaches only us, and we hand it on.
  const interrupt = (/** @type {NodeJS.Signals} */ signal) => {
    killChild();
    release();
    process.stdout.write('\nset-up: interrupted; the next run takes up from here\n');
    process.exit(128 + constants.signals[signal]);
  };
  /** @type {NodeJS.Signals[]} */
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, interrupt);
  try {
    for (const { needed, perform } of STEPS) {
      if (needed()) await perform();
    }
    process.stdout.write(`set-up: ready (${seconds(started)})\n`);
  } finally {
    for (const signal of signals) process.off(signal, interrupt);
    release();
  }
}

#!/usr/bin/env node
import { main } from './cli.js';
import { INTERRUPTED } from './context.js';

// `ssom-alert … | head` ends the reader first; that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  process.stderr.write(`error: the output could not be written: ${error.message}\n`);
  process.exit(1);
});

const interruption = new AbortController();
let listening = false;

/** Only commands that ask for it end by themselves at Ctrl-C; the second one ends the process at once. */
function interrupted(): AbortSignal {
  if (!listening) {
    listening = true;
    process.on('SIGINT', () => {
      if (interruption.signal.aborted) process.exit(INTERRUPTED);
      interruption.abort();
    });
  }
  return interruption.signal;
}

const { env: environment, stdin, stdout, stderr } = process;
process.exitCode = await main(process.argv.slice(2), { environment, stdin, stdout, stderr, interrupted });
// Not by itself: an SDK of a role that has ended may still hold a timer. What was printed is written first.
stdout.write('', () => process.exit());

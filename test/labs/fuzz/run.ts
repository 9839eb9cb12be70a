// `npm run fuzz`: feeds the service with seeded inputs on the real stack; see README.md.
import { runLab } from '../frame/command-line.js';
import { count, seed } from '../frame/flags.js';
import { fuzz, type Part, PARTS } from './fuzz.js';
import { reportOf } from './result.js';

await runLab({
  name: 'fuzz',
  about: 'inputs that nobody should send, between well-formed ones that must work',
  parts: PARTS,
  flags: {
    inputs: count(100_000, 'how many'),
    seed,
    rounds: count(4, 'into how many rounds the inputs are divided'),
  },
  async run(options, { parts }, say) {
    say(`seed ${options.seed}, ${options.inputs} inputs`);
    return reportOf(await fuzz({ ...options, parts: parts as Part[], say }), options.seed);
  },
});

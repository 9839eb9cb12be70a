// `npm run push`: what test/real/push.test.ts has in small, and the role's speed; see README.md.
import { runLab } from '../frame/command-line.js';
import { seed } from '../frame/flags.js';
import { PARTS, runPush } from './push-run.js';

await runLab({
  name: 'push',
  about: 'what the push role has to bear, and how fast it is',
  parts: PARTS,
  flags: { seed },
  run(options, { parts }, say) {
    say(`seed ${options.seed}`);
    return runPush(parts, options.seed, say);
  },
});

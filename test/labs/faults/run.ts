// `npm run faults`: does everything to the service that may happen to it, and looks for what got lost; see README.md.
import { runLab } from '../frame/command-line.js';
import { amount, count, oneOf, seed, toggle } from '../frame/flags.js';
import { DEFECTS } from './defects.js';
import { FAULTS } from './faults.js';
import { proveDefects } from './prove-defect.js';
import { runFaults } from './run-faults.js';

const RANDOM_MINUTES = 30;
const DEFECT_NAMES = DEFECTS.map(({ name }) => name);

await runLab({
  name: 'faults',
  about: 'does everything to the service that may happen to it, and looks for what got lost',
  parts: FAULTS.map(({ name }) => name),
  alsoListed: DEFECT_NAMES,
  markdown: 'standard output',
  flags: {
    minutes: amount(`random faults for N minutes after the listed ones; ${RANDOM_MINUTES}, or 0 if some are named`),
    seed,
    rate: amount('alerts a second; 15', 0.1),
    brokers: count(3, 'of Kafka, 3 or 1'),
    defect: oneOf([...DEFECT_NAMES, 'all'], 'wires the service wrongly, and expects to be told so; or all'),
    control: toggle('with --defect: the same fault without the defect, which must find nothing'),
  },
  run(options, { parts, some }, say) {
    say(`seed ${options.seed}`);
    const { defect } = options;
    if (defect !== undefined) return proveDefects(defect, { ...options, log: say });
    const minutes = options.minutes ?? (some ? 0 : RANDOM_MINUTES);
    const faults = FAULTS.filter(({ name }) => parts.includes(name));
    return runFaults(faults, {
      ...options,
      rate: options.rate ?? 15,
      brokers: options.brokers === 1 ? 1 : 3,
      minutes,
      say,
    });
  },
});

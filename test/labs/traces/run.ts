// `npm run traces`: what tracing costs; see README.md.
import { join } from 'node:path';
import { ROOT } from '../../../services/lib/root.js';
import { runLab } from '../frame/command-line.js';
import { measurement } from '../frame/measurement.js';
import { COSTS } from './cost.js';

await runLab(
  measurement({
    name: 'traces',
    about: 'what each way of tracing costs',
    scenarios: COSTS,
    readme: join(ROOT, 'test', 'labs', 'traces', 'README.md'),
    rounds: 3,
    users: 1000,
    usersAre: 'connected users',
  }),
);

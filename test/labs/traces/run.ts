// `npm run traces`: what tracing costs; see README.md.
import { join } from 'node:path';
import { ROOT } from '../../../services/lib/root.js';
import { runLaboratory } from '../bench/laboratory.js';
import { COSTS } from './cost.js';

await runLaboratory({
  name: 'traces',
  scenarios: COSTS,
  readme: join(ROOT, 'test', 'labs', 'traces', 'README.md'),
  rounds: 3,
  users: 1000,
  usersAre: 'connected users',
});

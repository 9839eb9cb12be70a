// `npm run bench`: measures the service on the real stack; see README.md.
import { join } from 'node:path';
import { ROOT } from '../../../services/lib/root.js';
import { runLab } from '../frame/command-line.js';
import { measurement } from '../frame/measurement.js';
import { busyInbox } from './scenarios/busy-inbox.js';
import { createDurable } from './scenarios/create-durable.js';
import { forgedTokens } from './scenarios/forged-tokens.js';
import { greedyCaller } from './scenarios/greedy-caller.js';
import { latency } from './scenarios/latency.js';
import { schemas } from './scenarios/schemas.js';
import { start } from './scenarios/start.js';
import { broadcast, singleBatch, singleUnary } from './scenarios/throughput.js';
import { tls } from './scenarios/tls.js';

await runLab(
  measurement({
    name: 'bench',
    about: 'how much, how fast, and what it takes',
    scenarios: [
      createDurable,
      broadcast,
      singleUnary,
      singleBatch,
      latency,
      greedyCaller,
      forgedTokens,
      tls,
      busyInbox,
      schemas,
      start,
    ],
    readme: join(ROOT, 'test', 'labs', 'bench', 'README.md'),
    rounds: 5,
    users: 1000,
    usersAre: 'connected users',
  }),
);

// `npm run streams`: what one gateway holds and stands; see README.md.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from '../../../services/lib/root.js';
import { runLab } from '../frame/command-line.js';
import { measurement } from '../frame/measurement.js';
import { fanOut } from './fan-out.js';
import { herd } from './herd.js';
import { idle } from './idle.js';
import { leak } from './leak.js';
import { requireFiles } from './open-files.js';
import { skip } from './skip.js';
import { stalled } from './stalled.js';

await runLab(
  measurement({
    name: 'streams',
    about: 'what one gateway holds and bears',
    scenarios: [idle, fanOut, skip, herd, stalled, leak],
    readme: join(ROOT, 'test', 'labs', 'streams', 'README.md'),
    rounds: 3,
    users: 20_000,
    usersAre: 'idle streams, and streams of the herd; other parts take fewer if that is less than they want',
    fixed: {
      variables: { STREAMS_MAX: '100000' },
      preload: fileURLToPath(new URL('./inspect.js', import.meta.url)),
    },
    check: requireFiles,
  }),
);

// `npm run streams`: what one gateway holds and stands; see services/stream-gateway/README.md.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from '../../../services/lib/root.js';
import { runLaboratory } from '../bench/laboratory.js';
import { fanOut } from './fan-out.js';
import { herd } from './herd.js';
import { idle } from './idle.js';
import { leak } from './leak.js';
import { skip } from './skip.js';
import { stalled } from './stalled.js';

/** The most files that one of our processes opens: 5,000 connections of their own, and what else it needs. */
const FILES = 6000;

/** Node raises the soft limit itself; the hard one is the user's. @throws if it is too low */
function requireFiles(): void {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1] ?? '';
  if (hard === 'unlimited' || Number(hard) >= FILES) return;
  throw new Error(`a process may open ${hard} files here, and ${FILES} are needed; raise it: ulimit -n ${FILES}`);
}

await runLaboratory({
  name: 'streams',
  scenarios: [idle, fanOut, skip, herd, stalled, leak],
  readme: join(ROOT, 'services', 'stream-gateway', 'README.md'),
  rounds: 3,
  users: 20_000,
  usersAre: 'idle streams, and streams of the herd; other parts take fewer if that is less than they want',
  fixed: {
    variables: { STREAMS_MAX: '100000' },
    preload: fileURLToPath(new URL('./inspect.js', import.meta.url)),
  },
  check: requireFiles,
});

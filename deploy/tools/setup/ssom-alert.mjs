#!/usr/bin/env node
// `npx ssom-alert`: a file that is there before the set-up, since npm links a command only once, when it first sees it.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const MAIN = new URL('../../../.build/services/cli/ssom-alert.js', import.meta.url);

if (existsSync(fileURLToPath(MAIN))) await import(MAIN.href);
else {
  process.stderr.write(
    'ssom-alert: this checkout is not set up yet; run `npm run setup` (or `npm start`, and wait for it)\n',
  );
  process.exit(1);
}

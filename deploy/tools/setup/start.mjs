// `npm start`: the set-up, then the whole service in one process, with our arguments handed on.
import { fileURLToPath } from 'url';
import { runService } from './run-service.mjs';
import { setupOrExit } from './setup.mjs';

const MAIN = fileURLToPath(new URL('../../../.build/services/launch/main.js', import.meta.url));

setupOrExit({ quiet: true }).then(() => runService(MAIN, ['standalone'].concat(process.argv.slice(2))));

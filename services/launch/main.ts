import { endProcess } from '../lib/lifecycle.js';
import { runRole } from './run.js';

const [role = 'standalone'] = process.argv.slice(2);
// start.mjs holds this channel open as long as it lives; without it nobody would stop us.
if (process.env['SSOM_PARENT_IPC'] === '1') {
  process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.channel?.unref();
}
endProcess(await runRole(role, process.env));

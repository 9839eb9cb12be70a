import { runRole } from '../../../../services/launch/run.js';
import { endProcess } from '../../../../services/lib/lifecycle.js';

/** Runs the role of the command line, after whoever calls this has put something wrong in its place. */
export async function runWired(): Promise<never> {
  process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.channel?.unref();
  endProcess(await runRole(process.argv[2] ?? '', process.env));
}

// Loaded into the gateway and into the bare server: tells what the process holds once its garbage is collected.
import v8 from 'node:v8';
import vm from 'node:vm';
import { activeResources } from './leftovers.js';

export interface Holding {
  /** Resident bytes. */
  readonly rss: number;
  /** Bytes of the JavaScript heap and of buffers outside of it. */
  readonly live: number;
  /** What keeps the event loop busy, by type: sockets, timers, requests. */
  readonly resources: Readonly<Record<string, number>>;
}

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc') as () => void;

export async function holding(): Promise<Holding> {
  // What is freed by a callback of the first collection goes with the next ones.
  for (let pass = 0; pass < 3; pass += 1) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, live: heapUsed + external, resources: activeResources() };
}

if (process.env['SSOM_PARENT_IPC'] === '1') {
  process.on('message', (question) => {
    if (question === 'holding') void holding().then((answer) => process.send?.(answer));
  });
}

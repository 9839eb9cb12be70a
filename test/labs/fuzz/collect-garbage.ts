// Loaded into each role: on SIGUSR2 it collects its garbage and logs what is left, so that a leak can be told from
// litter.
import v8 from 'node:v8';
import vm from 'node:vm';

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc') as () => void;

process.on('SIGUSR2', () => {
  collect();
  collect();
  const { rss, heapUsed, external } = process.memoryUsage();
  process.stderr.write(`${JSON.stringify({ level: 30, msg: 'garbage collected', rss, live: heapUsed + external })}\n`);
});

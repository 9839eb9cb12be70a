/*
 * A process beside the one that is ending, which kills that one when its time is over: the time limit of a process
 * whose own thread is held up. Arguments: the other's pid, and how many milliseconds it has. A line on standard input
 * is another number of milliseconds, from then on; its end says that the other has ended.
 */
import { createInterface } from 'node:readline';

const [pid = 0, ms = 0] = process.argv.slice(2).map(Number);
const kill = () => process.kill(pid, 'SIGKILL');

let timer = setTimeout(kill, ms);
process.stdin.on('error', () => process.exit());
createInterface({ input: process.stdin })
  .on('line', (line) => {
    clearTimeout(timer);
    timer = setTimeout(kill, Number(line));
  })
  .on('close', () => process.exit());

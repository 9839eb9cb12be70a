// `npm run reconnects`: the product's client loses its connections a thousand times, on the real stack; see README.md.
import { runLab } from '../frame/command-line.js';
import { count, seed } from '../frame/flags.js';
import { onRealStack } from './real-place.js';
import { runReconnects } from './reconnect-run.js';
import { reportOf } from './report.js';

/** One stream takes about a second from one reconnect to the next on a busy machine. */
const RECONNECT_MS = 3000;

await runLab({
  name: 'reconnects',
  about: 'does a stream miss a change, or show one twice, when connections are lost?',
  flags: {
    reconnects: count(1000, 'so many at least, of all streams together'),
    seed,
    people: count(10, 'each with two devices and three streams'),
    gateways: count(2, 'instances of the gateway'),
  },
  async run(options, _, say) {
    say(`seed ${options.seed}, ${options.reconnects} reconnects`);
    const timeoutMs = 60_000 + options.reconnects * RECONNECT_MS;
    const result = await onRealStack(options.gateways, (place) => runReconnects({ ...options, place, timeoutMs, say }));
    return reportOf(result, options.seed);
  },
});

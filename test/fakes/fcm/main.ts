// The server as a process of its own. Prints one line of JSON (Ready, see control-types.ts) when it listens.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { FcmServer } from './server.js';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    'control-port': { type: 'string', default: '0' },
    project: { type: 'string', default: 'ssom-test' },
    seed: { type: 'string', default: '1' },
    'latency-ms': { type: 'string', default: '0' },
    records: { type: 'string', default: '50000' },
    'no-bodies': { type: 'boolean', default: false },
    'token-lifetime-s': { type: 'string', default: '3600' },
    'service-account': { type: 'string' },
  },
});

const { ready } = await FcmServer.start({
  port: Number(values.port),
  controlPort: Number(values['control-port']),
  projectId: values.project,
  seed: Number(values.seed),
  latencyMs: Number(values['latency-ms']),
  records: Number(values.records),
  bodies: !values['no-bodies'],
  tokenLifetimeS: Number(values['token-lifetime-s']),
});
if (values['service-account'] !== undefined) {
  writeFileSync(values['service-account'], JSON.stringify(ready.serviceAccount, undefined, 2), { mode: 0o600 });
}
process.stdout.write(`${JSON.stringify(ready)}\n`);
// Started by a test: it ends with the test, however that ends.
process.on('disconnect', () => process.exit());

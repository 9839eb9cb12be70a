import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { DEFECTS } from '../labs/faults/defects.js';
import { FaultRun } from '../labs/faults/fault-run.js';
import { FAULTS } from '../labs/faults/faults.js';
import { proveDefect } from '../labs/faults/prove-defect.js';
import { whySkip } from '../support/stack.js';

const SEED = 20_260;

/** The main ones; `npm run faults` has all of them, with three brokers. */
const MAIN = [
  'kill alert-api',
  'kill fanout',
  'roll delivery',
  'kill delivery',
  'kill stream-gateway',
  'kill PostgreSQL',
  'wipe Kafka',
  'a hopeless phone: token refused',
];

/** One of eleven; `npm run proof` has them all. */
const DEFECT = 'commit-before-processing';

const diagnostics = (t: TestContext) => (line: string) => t.diagnostic(line);

// See test/labs/faults/README.md: what was acknowledged is held against a ledger that shares no code with the service.
describe('the fault run', { skip: whySkip() }, () => {
  it('finds nothing wrong after the main faults', async (t) => {
    const run = await FaultRun.start({
      seed: SEED,
      brokers: 1,
      instances: 2,
      alertsPerSecond: 15,
      log: diagnostics(t),
    });
    try {
      const faults = MAIN.map((name) => FAULTS.find((fault) => fault.name === name)!);
      await run.listed(faults);
      const { alerts, userAlerts, changes } = await run.finish();
      t.diagnostic(`${alerts} alerts, ${userAlerts} entries of inboxes, ${changes} changes by readers`);
      assert.ok(alerts > 300 && userAlerts > alerts && changes > 100, 'there was hardly any traffic');
    } finally {
      await run.close();
    }
    assert.deepEqual(run.findings.details, []);
  });

  it(`notices the defect ${DEFECT}`, async (t) => {
    const defect = DEFECTS.find(({ name }) => name === DEFECT)!;
    assert.ok(await proveDefect(defect, { seed: SEED, log: diagnostics(t) }), 'it was not noticed');
  });
});

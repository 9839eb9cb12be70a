import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fuzz, PARTS } from '../labs/fuzz/fuzz.js';
import { whySkip } from '../support/stack.js';

/** The small part of `npm run fuzz`: the same inputs each time, so that what fails here fails again. */
const INPUTS = 2000;
const SEED = 20_260_501;

describe('fuzz of 2,000 inputs on the real stack', { skip: whySkip() }, () => {
  it('no crash, a proper status for each request, a dead letter for each rejected record', async (t) => {
    const say = (line: string) => t.diagnostic(line);
    const { report } = await fuzz({ inputs: INPUTS, seed: SEED, parts: PARTS, rounds: 1, say });
    assert.deepEqual(report.failures, []);
    assert.ok(report.inputs >= INPUTS);
  });
});

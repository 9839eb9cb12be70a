import assert from 'node:assert/strict';
import test from 'node:test';
import { recordTraceparent } from '../../../../services/lib/kafka/record-traceparent.js';
import { callersTrace } from '../../../support/traced.js';

const of = (...values: (string | Buffer)[]) =>
  recordTraceparent({ headers: values.map((traceparent) => ({ traceparent })) });

test('each record has the traceparent of its own first header, whatever the one before had', () => {
  const [one, two] = [callersTrace().traceparent, callersTrace('00').traceparent];
  for (const [given, expected] of [
    [[one], one],
    [[two], two],
    [[Buffer.from(one)], one],
    [[], undefined],
    [['no traceparent'], undefined],
    [[one, two], one],
    [[''], undefined],
    [[Buffer.from([0xff, 0xfe])], undefined],
    [[Buffer.from(one)], one],
  ] as const)
    assert.equal(of(...given), expected);
});

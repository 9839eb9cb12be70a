import assert from 'node:assert/strict';
import test from 'node:test';
import { FailureCounts, isRecordedAttempt, unrecordedBefore } from '../../../../services/lib/telemetry/attempts.js';

test('of attempts that fail the first four are recorded, then ever fewer, and each tells how many were left out', () => {
  const recorded = Array.from({ length: 1000 }, (_, index) => index + 1).filter(isRecordedAttempt);
  assert.deepEqual(recorded, [1, 2, 3, 4, 8, 16, 32, 64, 128, 256, 512]);
  for (let attempt = 1; attempt <= 1000; attempt += 1) {
    const before = recorded.filter((each) => each < attempt).length;
    assert.equal(unrecordedBefore(attempt), attempt - 1 - before, `before attempt ${attempt}`);
  }
});

test('failures of an alert are counted until it succeeds, of a bounded number of alerts', () => {
  const counts = new FailureCounts();
  assert.equal(counts.attemptAt(1), 1);
  counts.note(1, true);
  counts.note(1, true);
  assert.equal(counts.attemptAt(1), 3);
  assert.equal(counts.attemptAt(2), 1);
  counts.note(1, false);
  assert.equal(counts.attemptAt(1), 1);
  counts.note(1, true);
  for (let alertId = 2; alertId < 100_000; alertId += 1) counts.note(alertId, true);
  assert.equal(counts.attemptAt(1), 1, 'the oldest is forgotten');
});

test('all that a relay may hold while Kafka is away are counted, though they fail in turn', () => {
  const counts = new FailureCounts();
  const alerts = 21_000;
  for (let round = 0; round < 3; round += 1)
    for (let alertId = 1; alertId <= alerts; alertId += 1) counts.note(alertId, true);
  assert.equal(counts.attemptAt(1), 4);
  assert.equal(counts.attemptAt(alerts), 4);
});

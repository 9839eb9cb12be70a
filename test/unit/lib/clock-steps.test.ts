import assert from 'node:assert/strict';
import test from 'node:test';
import type { ConsumerClient } from '../../../services/lib/kafka/consumer-client.js';
import { ConsumerPauses } from '../../../services/lib/kafka/consumer-pauses.js';
import type { PartitionOffset } from '../../../services/lib/kafka/incoming-record.js';
import { OffsetCommits } from '../../../services/lib/kafka/offset-commits.js';
import { WakeUps } from '../../../services/lib/kafka/wake-ups.js';
import { Closers } from '../../../services/lib/lifecycle.js';
import { type Logger, silentLogger } from '../../../services/lib/logging.js';
import { stepClock } from '../../support/clock.js';
import { patience, untilTrue } from '../../support/until-true.js';

/** A client that is connected and whose every call succeeds. */
function client(commits: PartitionOffset[][] = []): ConsumerClient {
  const native = {
    commit: (offsets: PartitionOffset[]) => {
      commits.push(offsets);
      return Promise.resolve();
    },
    pause: () => undefined,
    resume: () => undefined,
  };
  return { native, generation: 1, isUsable: true, isClosed: false, assignment: [] } as unknown as ConsumerClient;
}

const HOUR_MS = 3_600_000;

for (const stepMs of [-HOUR_MS, HOUR_MS]) {
  const stepped = `the clock steps ${stepMs < 0 ? 'back' : 'ahead'} by an hour`;

  test(`commits of offsets go on while ${stepped}`, async (t) => {
    const sent: PartitionOffset[][] = [];
    const commits = new OffsetCommits(client(sent), silentLogger());
    const at = (offset: number) => [{ topic: 't', partition: 0, offset }];
    commits.add(at(1));
    await commits.flush();
    stepClock(t, stepMs);
    commits.add(at(2));
    commits.add(at(3));
    assert.equal(sent.length, 1, 'those of the next 100 ms go together');
    await untilTrue(() => sent.length === 2, { what: 'the second commit' });
    assert.deepEqual(sent, [at(1), at(3)]);
  });

  test(`a pause lasts as long as it is meant to while ${stepped}`, async (t) => {
    const pauses = new ConsumerPauses(
      client(),
      new WakeUps(),
      silentLogger(),
      () => Promise.resolve([]),
      () => undefined,
    );
    const started = performance.now();
    const idle = pauses.idle(400, AbortSignal.timeout(patience(20_000)));
    stepClock(t, stepMs);
    await idle;
    const ms = performance.now() - started;
    assert.ok(ms > 350 && ms < patience(10_000), `${Math.round(ms)} ms`);
    assert.ok(pauses.activeSince >= started, 'active from now on, as the watch for stalls counts');
  });
}

test('when records were asked for and handed out is not moved by a step of the clock', (t) => {
  const arrivals = new WakeUps();
  arrivals.noteAsked();
  arrivals.noteTaken(true);
  const { askedAt, drainedAt } = arrivals;
  stepClock(t, -HOUR_MS);
  arrivals.noteAsked();
  arrivals.noteTaken(true);
  assert.ok(arrivals.askedAt >= askedAt && arrivals.askedAt < askedAt + 1000);
  assert.ok(arrivals.drainedAt >= drainedAt && arrivals.drainedAt < drainedAt + 1000);
});

test('how long closing took is told right while the clock steps', async (t) => {
  const closed: { ms: number }[] = [];
  const logger = { debug: (fields: { ms: number }) => closed.push(fields) } as unknown as Logger;
  const closers = new Closers(logger);
  closers.add('something', () => stepClock(t, -HOUR_MS));
  await closers.close();
  assert.ok(closed[0]!.ms >= 0 && closed[0]!.ms < 1000, `${closed[0]!.ms} ms`);
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { TraceFlags } from '@opentelemetry/api';
import { core, type tracing as sdk } from '@opentelemetry/sdk-node';
import { pino } from 'pino';
import { silentLogger } from '../../../../services/lib/logging.js';
import { CallerLimit } from '../../../../services/lib/telemetry/caller-limit.js';
import { EXCEPTIONAL_SPANS, ORDINARY_SPANS, SpanBudget } from '../../../../services/lib/telemetry/span-budget.js';
import { SpanQueue, type SpanQueueOptions } from '../../../../services/lib/telemetry/span-queue.js';
import { isSampled, validTraceparent } from '../../../../services/lib/telemetry/traceparent.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

test('a traceparent is read as W3C says', () => {
  const plain = `00-${TRACE}-${SPAN}-01`;
  assert.equal(validTraceparent(plain), plain);
  assert.equal(validTraceparent(`00-${TRACE}-${SPAN}-03`), plain, 'flags that we do not know are not ours to send');
  assert.equal(validTraceparent(`01-${TRACE}-${SPAN}-01-of-the-future`), plain, 'a later version may have more');
  assert.equal(validTraceparent(`00-${TRACE}-${SPAN}-02`), `00-${TRACE}-${SPAN}-00`);
  for (const malformed of [
    '',
    'nonsense',
    `ff-${TRACE}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    ` ${plain}`,
  ])
    assert.equal(validTraceparent(malformed), undefined, malformed);
  assert.equal(isSampled(plain), true);
  assert.equal(isSampled(`00-${TRACE}-${SPAN}-00`), false);
  assert.equal(isSampled('anything-01'), false);
});

test('of one alert so many ordinary spans are recorded, and so many that were slow or failed', () => {
  const budget = new SpanBudget();
  const count = (take: () => boolean) => Array.from({ length: 1000 }, take).filter(Boolean).length;
  assert.equal(
    count(() => budget.take(1)),
    ORDINARY_SPANS,
  );
  assert.equal(
    count(() => budget.takeExceptional(1)),
    EXCEPTIONAL_SPANS,
  );
  assert.equal(budget.take(2), true, 'another alert has its own');
});

test('a limit of so many a second lets so many through', () => {
  const limit = new CallerLimit(10);
  const from = performance.now();
  const taken = (now: number) => Array.from({ length: 100 }, () => limit.take(now)).filter(Boolean).length;
  assert.equal(taken(from), 10);
  assert.equal(taken(from + 550), 5);
  assert.equal(taken(from + 60_000), 10, 'what was not used is not saved up');
});

function ended(): sdk.ReadableSpan {
  const context = { traceId: TRACE, spanId: SPAN, traceFlags: TraceFlags.SAMPLED };
  return { spanContext: () => context } as unknown as sdk.ReadableSpan;
}

interface Exports {
  readonly exporter: sdk.SpanExporter;
  /** Sizes of the batches that were handed over. */
  readonly batches: number[];
}

/** @param answer called with each batch's callback; without a call of it the collector hangs */
function exports(answer: (done: (code: core.ExportResultCode) => void) => void): Exports {
  const batches: number[] = [];
  const exporter: sdk.SpanExporter = {
    export: (spans, done) => {
      batches.push(spans.length);
      answer((code) => done({ code }));
    },
    shutdown: () => Promise.resolve(),
  };
  return { exporter, batches };
}

function queueOn({ exporter }: Exports, options: Partial<SpanQueueOptions> = {}): SpanQueue {
  return new SpanQueue(exporter, {
    queueMax: 10,
    batchMax: 4,
    delayMs: 60_000,
    timeoutMs: 60_000,
    logger: silentLogger(),
    ...options,
  });
}

test('spans are exported in batches, the last ones at the end', async () => {
  const taken = exports((done) => done(core.ExportResultCode.SUCCESS));
  const queue = queueOn(taken);
  for (let count = 0; count < 6; count += 1) queue.onEnd(ended());
  await queue.shutdown();
  assert.deepEqual(taken.batches, [4, 2]);
  assert.deepEqual(queue.counts, { ended: 6, queueFull: 0, exportFailed: 0, shutdown: 0 });
});

test('while a collector hangs the queue fills up, and what is beyond is dropped and counted; so is the rest at the end', async () => {
  let answer: ((code: core.ExportResultCode) => void) | undefined;
  const hanging = exports((done) => (answer = done));
  const lines: Record<string, unknown>[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
  const queue = queueOn(hanging, { logger });
  for (let count = 0; count < 20; count += 1) queue.onEnd(ended());
  // Four are with the collector and ten wait.
  assert.deepEqual(hanging.batches, [4]);
  assert.deepEqual(queue.counts, { ended: 20, queueFull: 6, exportFailed: 0, shutdown: 0 });
  const started = performance.now();
  await queue.shutdown();
  assert.ok(performance.now() - started < 5000, 'it is not waited for');
  assert.equal(queue.counts.shutdown, 14);
  assert.deepEqual(
    lines.map(({ msg, spans, dropped }) => [msg, spans, dropped]),
    [['the last spans are dropped: the collector did not take them in time', 14, 20]],
  );
  answer!(core.ExportResultCode.FAILED);
  queue.onEnd(ended());
  await queue.forceFlush();
  assert.deepEqual(queue.counts, { ended: 21, queueFull: 6, exportFailed: 0, shutdown: 15 }, 'each is counted once');
});

test('what a collector refuses, or does not answer in time, is counted, and the next batch is tried', async (t) => {
  // The queue's own timers keep no process alive.
  const alive = setInterval(() => undefined, 1000);
  t.after(() => clearInterval(alive));
  const refusing = queueOn(exports((done) => done(core.ExportResultCode.FAILED)));
  for (let count = 0; count < 8; count += 1) refusing.onEnd(ended());
  await refusing.forceFlush();
  assert.deepEqual(refusing.counts, { ended: 8, queueFull: 0, exportFailed: 8, shutdown: 0 });

  const silent = exports(() => undefined);
  const queue = queueOn(silent, { timeoutMs: 10 });
  for (let count = 0; count < 8; count += 1) queue.onEnd(ended());
  await queue.forceFlush();
  assert.deepEqual(silent.batches, [4, 4]);
  assert.equal(queue.counts.exportFailed, 8);
});

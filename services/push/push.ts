import { BatchLoop } from '../lib/kafka/batch-loop.js';
import type { Service } from '../lib/lifecycle.js';
import type { Runtime } from '../runtime.js';

/** Nobody waits for what is only read: a broker may gather this much, or half a second's worth, before it answers. */
const PATIENT_FETCH_BYTES = 65_536;

/**
 * Sends nothing yet. It reads the inbox changes, which keeps its group's position current, and says once that
 * push is not configured.
 */
export function createPush(runtime: Runtime): Service {
  const { config, logger, metrics } = runtime;
  const seen = metrics.counter('ssom.push.skipped', 'Inbox changes that were read while push is not configured.');
  const loop = new BatchLoop({
    batchMax: config.consumerMaxPollRecords,
    attemptTimeoutMs: config.processingTimeoutMs,
    slowMs: config.slowProcessingMs,
    logEachBatch: false,
    logger,
    handle: (records) => {
      seen.add(records.length);
      return Promise.resolve();
    },
  });
  return {
    async run(signal) {
      logger.warn('push is not configured: inbox changes are read and nothing is sent to devices');
      const publishing = await runtime.publishing(signal);
      const { events } = publishing;
      const consumer = await runtime.subscribe([events.topics.inboxChange], '-push', loop.settled, signal, {
        fetchMinBytes: PATIENT_FETCH_BYTES,
      });
      const triage = runtime.triage(publishing, '-push', ({ key }) => (key === null ? {} : { userId: key }));
      await loop.run(consumer, triage, signal);
    },
    close: () => loop.settled(),
  };
}

import { groupOf } from '../events/groups.js';
import type { Config } from '../lib/config/load.js';
import { BatchLoop } from '../lib/kafka/batch-loop.js';
import type { IncomingRecord } from '../lib/kafka/consumer.js';
import type { Handled } from '../lib/kafka/triage.js';
import type { Service } from '../lib/lifecycle.js';
import type { Publishing, Runtime } from '../runtime/runtime.js';
import { readCredential } from './fcm.js';
import { PushDispatcher } from './push-dispatcher.js';
import { PushPlanner } from './push-planner.js';

/** Nobody waits for what is only read: a broker may gather this much, or half a second's worth, before it answers. */
const PATIENT_FETCH_BYTES = 65_536;

/** What is wrong with the file that FCM_CREDENTIALS names, if it is no service account's. */
export function problemsOfCredentials({ fcmCredentials }: Pick<Config, 'fcmCredentials'>): string[] {
  if (fcmCredentials === '' || fcmCredentials === 'application-default') return [];
  try {
    readCredential(fcmCredentials);
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
}

/**
 * Pushes alerts that are in the inbox to their recipients' devices by FCM, and has them disappear when they are read.
 * Planning and sending meet in PostgreSQL alone. Without credentials it only keeps its group's position current.
 */
export function createPush(runtime: Runtime): Service {
  const { config, logger, metrics } = runtime;
  const off = config.fcmCredentials === '';
  const skipped = metrics.counter('ssom.push.skipped', 'Inbox changes that were read while push is not configured.');
  let planner: PushPlanner | undefined;
  let publishing: Publishing | undefined;
  let dispatcher: PushDispatcher | undefined;
  const loop = new BatchLoop({
    batchMax: config.consumerMaxPollRecords,
    attemptTimeoutMs: config.processingTimeoutMs,
    onProcessed: (ms, records) => runtime.processed('push', ms, records),
    logEachBatch: false,
    logger,
    handle,
  });

  async function handle(records: readonly IncomingRecord[]): Promise<Handled> {
    if (planner !== undefined) return planner.handle(publishing!.events, records);
    skipped.add(records.length);
    return { refused: [], held: [] };
  }

  return {
    async run(signal) {
      if (off) logger.warn('push is off: FCM_CREDENTIALS is not set, so nothing is sent to devices');
      else await runtime.databaseReady(signal);
      publishing = await runtime.publishing(signal);
      const running: Promise<void>[] = [];
      if (!off) {
        dispatcher = new PushDispatcher(runtime, publishing, groupOf('push', config).group);
        planner = new PushPlanner(runtime, dispatcher.wake);
        running.push(dispatcher.run(signal), planner.sweep(signal), planner.catchUp(signal));
      }
      const consumer = await runtime.subscribe('push', loop.settled, signal, {
        ...(off ? { fetchMinBytes: PATIENT_FETCH_BYTES } : {}),
      });
      runtime.started('push');
      const triage = runtime.triage(publishing, 'push', ({ key }) => (key === null ? {} : { userId: key }));
      running.push(loop.run(consumer, triage, signal));
      await Promise.all(running);
    },
    close: async () => {
      await loop.settled();
      await dispatcher?.close();
    },
  };
}

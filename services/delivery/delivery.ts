import type { UserAlertEvent } from '../events/event-types.js';
import { inboxChangeRecords } from '../events/inbox-records.js';
import { countOtherEpoch, readEach, readUserAlert } from '../events/read-records.js';
import { BatchLoop } from '../lib/kafka/batch-loop.js';
import type { IncomingRecord } from '../lib/kafka/consumer.js';
import { PoisonRecord } from '../lib/kafka/poison-record.js';
import type { Handled } from '../lib/kafka/triage.js';
import type { Service } from '../lib/lifecycle.js';
import { inboxWrites } from '../runtime/inbox-writes.js';
import type { Publish, Publishing, Runtime } from '../runtime/runtime.js';
import { deliverToInboxes, type Delivery } from '../store/inbox-delivery.js';
import { CreateToInbox } from './create-to-inbox.js';
import { DeliveryTracing } from './delivery-trace.js';

/** Puts alerts into inboxes, a batch of records in one transaction, and announces the changes. */
export function createDelivery(runtime: Runtime): Service {
  const { config, logger, metrics } = runtime;
  const delivered = metrics.counter('ssom.deliveries', 'Alerts that were put into an inbox.');
  const batchDuration = metrics.histogram(
    'ssom.delivery.batch.duration',
    'Time from a batch of records to its published changes.',
  );
  const batchSize = metrics.sizes('ssom.delivery.batch.size', 'Records of a batch.');
  const writes = inboxWrites(metrics);
  const latency = new CreateToInbox(runtime);
  const closedAlerts = metrics.counter(
    'ssom.deliveries.closed',
    'Events of alerts that are older than ALERT_RETENTION_DAYS; they are dropped.',
  );
  const setAside = countOtherEpoch(metrics, logger, config.topicUserAlert);
  const failures = metrics.counter('ssom.delivery.failures', 'Attempts at a batch that failed.');
  let publishing: Publishing | undefined;
  let publish: Publish | undefined;
  const traces = new DeliveryTracing({
    tracing: runtime.tracing,
    group: config.consumerGroup,
    slowMs: config.slowProcessingMs,
    announcedIn: () => publishing!.events.topics.inboxChange,
  });

  const loop = new BatchLoop({
    batchMax: Math.min(config.processingBatchSize, config.consumerMaxPollRecords),
    attemptTimeoutMs: config.processingTimeoutMs,
    onProcessed: (ms, records) => runtime.processed('delivery', ms, records),
    logEachBatch: config.logProcessingTime,
    logger,
    handle,
    onFailure: () => failures.add(1),
  });

  async function handle(records: readonly IncomingRecord[], patient: boolean): Promise<Handled> {
    const started = performance.now();
    const { events } = publishing!;
    const { userAlert } = events.topics;
    const trace = traces.begin();
    const { read, refused } = await readEach(records, (record) => readUserAlert(events, record));
    for (const { record, event } of read) trace.add(event.alertId, event.userId, record);
    const database = runtime.database.observedBy(trace.start(userAlert));
    try {
      const deliveries = read.map(({ event }) => event);
      const { inboxes, created, impossible, closed, otherEpoch, held } = await deliverToInboxes(
        database,
        deliveries,
        patient,
      );
      trace.announce();
      const traceparentFor = (alertId: number, userId: string) => trace.traceparentFor(alertId, userId);
      await publish!(inboxChangeRecords(events, inboxes, traceparentFor));
      delivered.add(created);
      writes.CREATED(created);
      // A batch in which something was there already is a repeated one: what it would tell is not a latency.
      if (created === deliveries.length) latency.note(deliveries, traceparentFor);
      const reasons = new Map(impossible.map(({ delivery, reason }) => [nameOf(delivery), new Error(reason)]));
      for (const { record, event } of reasons.size === 0 ? [] : read) {
        const error = reasons.get(nameOf(event));
        if (error === undefined) continue;
        trace.refuse(event.alertId, event.userId, error);
        refused.push(new PoisonRecord(record, error));
      }
      closedAlerts.add(closed);
      setAside(otherEpoch);
      trace.end(userAlert);
      batchSize.record(records.length);
      batchDuration.record((performance.now() - started) / 1000);
      return {
        refused,
        held: held.size === 0 ? [] : read.filter(({ event }) => held.has(event.userId)).map(({ record }) => record),
      };
    } catch (error) {
      trace.end(userAlert, error as Error);
      throw error;
    }
  }

  /** A record that is a dead letter may be unreadable; its key is the user then. If the two disagree it is nobody's. */
  function identify({ key, value }: IncomingRecord): Partial<UserAlertEvent> {
    try {
      const event = publishing!.events.userAlert.decodeKnown(value);
      return event?.userId === key ? event : {};
    } catch {
      return key === null ? {} : { userId: key };
    }
  }

  return {
    async run(signal) {
      await runtime.databaseReady(signal);
      publishing = await runtime.publishing(signal);
      publish = await runtime.publisher(signal);
      const consumer = await runtime.subscribe('delivery', loop.settled, signal);
      runtime.started('delivery');
      const triage = runtime.triage(publishing, 'delivery', identify);
      await Promise.all([loop.run(consumer, triage, signal), latency.run(signal)]);
    },
    close: () => loop.settled(),
  };
}

function nameOf({ alertId, userId }: Delivery): string {
  return `${alertId} ${userId}`;
}

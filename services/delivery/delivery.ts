import type { UserAlertEvent } from '../events/event-types.js';
import { inboxChangeRecords } from '../events/inbox-records.js';
import { countOtherEpoch, readUserAlert } from '../events/read-records.js';
import { BatchLoop } from '../lib/kafka/batch-loop.js';
import type { IncomingRecord } from '../lib/kafka/consumer.js';
import type { Producer } from '../lib/kafka/producer.js';
import { PoisonRecord } from '../lib/kafka/poison-record.js';
import type { Service } from '../lib/lifecycle.js';
import { inboxWrites } from '../runtime/inbox-writes.js';
import type { Publishing, Runtime } from '../runtime/runtime.js';
import { deliverToInboxes, type Delivery } from '../store/inbox-delivery.js';
import { CreateToInbox } from './create-to-inbox.js';
import { DeliveryTracing } from './delivery-trace.js';

/** From this many users on a batch's changes go through the producer that lets them gather. */
const BULK = 200;

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
  const refused = metrics.counter(
    'ssom.deliveries.closed',
    'Events of alerts that are older than ALERT_RETENTION_DAYS; they are dropped.',
  );
  const setAside = countOtherEpoch(metrics, logger, config.topicUserAlert);
  const failures = metrics.counter('ssom.delivery.failures', 'Attempts at a batch that failed.');
  // The in-process broker makes a topic by an empty record. Anywhere else one is nobody's, and a dead letter.
  const opensTopics = runtime.backends.brokers.inProcess;
  let publishing: Publishing | undefined;
  let bulk: Producer | undefined;
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

  async function handle(records: readonly IncomingRecord[], patient: boolean): Promise<IncomingRecord[]> {
    const started = performance.now();
    const { producer, events } = publishing!;
    const deliveries: Delivery[] = [];
    const sources: IncomingRecord[] = [];
    const trace = traces.begin();
    for (const record of records) {
      if (record.value === null && opensTopics) continue;
      const { alertId, userId, epoch = 0 } = await readUserAlert(events, record);
      deliveries.push({ alertId, userId, epoch });
      sources.push(record);
      trace.add(alertId, userId, record);
    }
    const { userAlert } = events.topics;
    const database = runtime.database.observedBy(trace.start(userAlert));
    try {
      const result = await deliverToInboxes(database, deliveries, patient);
      const { inboxes, created, impossible, closed, otherEpoch, held } = result;
      trace.announce();
      const changes = inboxChangeRecords(events, inboxes, (alertId, userId) => trace.traceparentFor(alertId, userId));
      await (changes.length < BULK ? producer : bulk!).publish(changes);
      delivered.add(created);
      writes.CREATED(created);
      // A batch in which something was there already is a repeated one: what it would tell is not a latency.
      if (created === deliveries.length)
        latency.note(deliveries, (alertId, userId) => trace.traceparentFor(alertId, userId));
      for (const { delivery } of impossible) trace.refuse(delivery.alertId, delivery.userId);
      const [first] = impossible;
      if (first !== undefined) {
        const { alertId, userId } = first.delivery;
        const index = deliveries.findIndex((each) => each.alertId === alertId && each.userId === userId);
        throw new PoisonRecord(sources[index]!, new Error(first.reason));
      }
      // Not before: the others of a batch with a bad record come again.
      refused.add(closed);
      setAside(otherEpoch);
      trace.end(userAlert);
      batchSize.record(records.length);
      batchDuration.record((performance.now() - started) / 1000);
      return held.size === 0 ? [] : sources.filter((_, index) => held.has(deliveries[index]!.userId));
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
      bulk = await runtime.bulkProducer(signal);
      const consumer = await runtime.subscribe([publishing.events.topics.userAlert], '', loop.settled, signal);
      runtime.started('delivery');
      const triage = runtime.triage(publishing, '', identify);
      await Promise.all([loop.run(consumer, triage, signal), latency.run(signal)]);
    },
    close: () => loop.settled(),
  };
}

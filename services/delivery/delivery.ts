import type { UserAlertEvent } from '../events/event-types.js';
import { groupOf } from '../events/groups.js';
import { inboxChangeRecords } from '../events/inbox-records.js';
import { countOtherEpoch, readEach, type ReadRecords, readUserAlert } from '../events/read-records.js';
import { BatchLoop } from '../lib/kafka/batch-loop.js';
import type { IncomingRecord } from '../lib/kafka/consumer.js';
import { PoisonRecord } from '../lib/kafka/poison-record.js';
import type { Handled } from '../lib/kafka/triage.js';
import type { Service } from '../lib/lifecycle.js';
import { inboxWrites } from '../runtime/inbox-writes.js';
import type { Publish, Publishing, Runtime } from '../runtime/runtime.js';
import { deliverToInboxes, type Delivery, type DeliveryResult } from '../store/inbox-delivery.js';
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
  const failures = metrics.counter(
    'ssom.delivery.failures',
    'Attempts at a batch that failed; not those that only refused single records.',
  );
  let publishing: Publishing | undefined;
  let publish: Publish | undefined;
  const traces = new DeliveryTracing(runtime.tracing, config.slowProcessingMs, {
    group: groupOf('delivery', config).group,
    userAlertTopic: config.topicUserAlert,
    inboxChangeTopic: config.topicInboxChange,
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
    const { read, refused, held } = await readEach(records, (record) => readUserAlert(events, record));
    const deliveries = read.map(({ event }) => event);
    const trace = traces.begin(read, started);
    const result = await trace.follow(async (statements) => {
      const stored = await deliverToInboxes(runtime.database.observedBy(statements), deliveries, patient);
      trace.announce();
      await publish!(inboxChangeRecords(events, stored.inboxes, trace.traceparentFor));
      return stored;
    });
    const { created, closed, otherEpoch } = result;
    delivered.add(created);
    writes.CREATED(created);
    // A batch in which something was there already is a repeated one: what it would tell is not a latency.
    if (created === deliveries.length) latency.note(deliveries, trace.traceparentFor);
    closedAlerts.add(closed);
    setAside(otherEpoch);
    batchSize.record(records.length);
    batchDuration.record((performance.now() - started) / 1000);
    return { refused: [...refused, ...impossibleOf(read, result)], held: [...held, ...heldOf(read, result)] };
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

type Read = ReadRecords<UserAlertEvent>['read'];

/** Records of what cannot be. */
function impossibleOf(read: Read, { impossible }: DeliveryResult): PoisonRecord[] {
  if (impossible.length === 0) return [];
  const reasons = new Map(impossible.map(({ delivery, reason }) => [nameOf(delivery), reason]));
  return read.flatMap(({ record, event }) => {
    const reason = reasons.get(nameOf(event));
    return reason === undefined ? [] : [new PoisonRecord(record, new Error(reason))];
  });
}

/** Records of users whose inbox somebody else holds. */
function heldOf(read: Read, { held }: DeliveryResult): IncomingRecord[] {
  return held.size === 0 ? [] : read.filter(({ event }) => held.has(event.userId)).map(({ record }) => record);
}

function nameOf({ alertId, userId }: Delivery): string {
  return `${alertId} ${userId}`;
}

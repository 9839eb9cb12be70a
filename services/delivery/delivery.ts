import type { UserAlertEvent } from '../events/event-types.js';
import type { Events } from '../events/events.js';
import { inboxChangeRecords } from '../events/inbox-publisher.js';
import { recordTraceparent } from '../events/records.js';
import { UndecodableRecord } from '../lib/avro.js';
import { BatchLoop } from '../lib/kafka/batch-loop.js';
import type { IncomingRecord } from '../lib/kafka/consumer.js';
import type { Producer } from '../lib/kafka/producer.js';
import { PoisonRecord } from '../lib/kafka/poison-record.js';
import type { Service } from '../lib/lifecycle.js';
import { inboxWrites } from '../lib/telemetry/inbox-writes.js';
import { ATTR, KAFKA } from '../lib/telemetry/names.js';
import { failSpan, isSampled, SpanKind, traceparentOf, type Span } from '../lib/telemetry/tracing.js';
import type { Publishing, Runtime } from '../runtime.js';
import { deliverToInboxes, type Delivery } from '../store/inbox-delivery.js';
import { CreateToInbox } from './create-to-inbox.js';

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
  const failures = metrics.counter('ssom.delivery.failures', 'Attempts at a batch that failed.');
  // The in-process broker makes a topic by an empty record. Anywhere else one is nobody's, and a dead letter.
  const opensTopics = runtime.backends.brokers.inProcess;
  let publishing: Publishing | undefined;
  let bulk: Producer | undefined;

  const loop = new BatchLoop({
    batchMax: Math.min(config.processingBatchSize, config.consumerMaxPollRecords),
    attemptTimeoutMs: config.processingTimeoutMs,
    onProcessed: (ms, records) => runtime.processed('delivery', '', ms, records),
    logEachBatch: config.logProcessingTime,
    logger,
    handle,
    onFailure: () => failures.add(1),
  });

  async function handle(records: readonly IncomingRecord[]): Promise<void> {
    const started = performance.now();
    const { producer, events } = publishing!;
    const deliveries: Delivery[] = [];
    const sources: IncomingRecord[] = [];
    const parents = new Map<string, string>();
    for (const record of records) {
      if (record.value === null && opensTopics) continue;
      const { alertId, userId } = await decode(events, record);
      deliveries.push({ alertId, userId });
      sources.push(record);
      const traceparent = recordTraceparent(record);
      if (traceparent !== undefined) parents.set(`${alertId} ${userId}`, traceparent);
    }
    const spans = startSpans(runtime, records, parents);
    const traceparentFor = (alertId: number, userId: string) => {
      const parent = parents.get(`${alertId} ${userId}`);
      return parent === undefined ? undefined : (traceparentOf(spans.get(parent)) ?? parent);
    };
    try {
      const { inboxes, created, impossible, closed } = await deliverToInboxes(runtime.database, deliveries);
      const changes = inboxChangeRecords(events, inboxes, traceparentFor);
      await (changes.length < BULK ? producer : bulk!).publish(changes);
      delivered.add(created);
      writes.CREATED(created);
      // A batch in which something was there already is a repeated one: what it would tell is not a latency.
      if (created === deliveries.length) latency.note(deliveries, traceparentFor);
      refused.add(closed);
      const [first] = impossible;
      if (first !== undefined) {
        const { alertId, userId } = first.delivery;
        const index = deliveries.findIndex((each) => each.alertId === alertId && each.userId === userId);
        throw new PoisonRecord(sources[index]!, new Error(first.reason));
      }
      for (const span of spans.values()) span.end();
      batchSize.record(records.length);
      batchDuration.record((performance.now() - started) / 1000);
    } catch (error) {
      for (const span of spans.values()) failSpan(span, error as Error);
      throw error;
    }
  }

  /** A record that is a dead letter may be unreadable; its key is the user in any case. */
  function identify({ key, value }: IncomingRecord): Partial<UserAlertEvent> {
    try {
      return publishing!.events.userAlert.decodeKnown(value) ?? {};
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
      const triage = runtime.triage(publishing, '', identify);
      await Promise.all([loop.run(consumer, triage, signal), latency.run(signal)]);
    },
    close: () => loop.settled(),
  };
}

/** @throws PoisonRecord for bytes that no schema fits; other errors when the registry is away */
async function decode(events: Events, record: IncomingRecord): Promise<UserAlertEvent> {
  try {
    return events.userAlert.decodeKnown(record.value) ?? (await events.userAlert.decode(record.value));
  } catch (error) {
    throw error instanceof UndecodableRecord ? new PoisonRecord(record, error) : error;
  }
}

/** One span for each trace in a batch, however many recipients it has there. */
function startSpans(
  runtime: Runtime,
  records: readonly IncomingRecord[],
  parents: Map<string, string>,
): Map<string, Span> {
  const spans = new Map<string, Span>();
  if (!runtime.tracing.enabled) return spans;
  const counts = new Map<string, number>();
  for (const parent of parents.values()) counts.set(parent, (counts.get(parent) ?? 0) + 1);
  const topic = records[0]?.topic ?? '';
  for (const [parent, count] of counts) {
    if (!isSampled(parent)) continue;
    const span = runtime.tracing.start(`process ${topic}`, {
      kind: SpanKind.CONSUMER,
      parent,
      attributes: {
        [ATTR.messagingSystem]: KAFKA,
        [ATTR.messagingDestination]: topic,
        [ATTR.messagingOperation]: 'process',
        [ATTR.messagingOperationType]: 'process',
        [ATTR.messagingGroup]: runtime.config.consumerGroup,
        [ATTR.messagingBatchCount]: count,
      },
    });
    spans.set(parent, span);
  }
  return spans;
}

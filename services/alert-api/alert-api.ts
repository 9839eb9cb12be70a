import { api } from '../api/protos.js';
import { countNames } from '../domain/alert.js';
import type { BatchCreateAlertsRequest__Output, CreateAlertRequest__Output } from '../gen/types.js';
import type { Amounts } from '../lib/grpc/caller-limits.js';
import type { Service } from '../lib/lifecycle.js';
import { AdminReads } from '../runtime/admin-reads.js';
import type { Publishing, Runtime } from '../runtime/runtime.js';
import { RecipientResolver, StaffedRulesCache } from '../store/recipient-resolver.js';
import { alertService } from './alert-service.js';
import { boundedByInbox, turnsByCaller, turnsByInbox } from './call-turns.js';
import { CreateBatcher } from './create-batcher.js';
import { QUEUE_CHARACTERS } from './create-room.js';
import { deviceService } from './device-service.js';
import { directoryService } from './directory-service.js';
import { inboxService } from './inbox-service.js';
import { Relay } from './relay.js';

/**
 * The role that callers speak to: takes alerts, keeps inboxes and the directory, and relays stored alerts to Kafka. It
 * is ready with PostgreSQL alone; while Kafka is away the outbox holds what was stored.
 */
export function createAlertApi(runtime: Runtime): Service {
  const { config, database, grpc, jobs, logger, metrics, tracing } = runtime;
  const created = metrics.counter('ssom.alerts.created', 'Alerts that were stored.');
  const relay = new Relay({ config, database, logger, metrics, tracing, jobs });
  let publishing: Publishing | undefined;
  const batcher = new CreateBatcher({
    database,
    tracing,
    slowMs: config.slowProcessingMs,
    queueMax: config.createQueueMax,
    batchMax: config.createBatchMax,
    isFull: () => relay.isFull,
    onStored: (alerts) => {
      created.add(alerts.length);
      relay.publishStored(alerts);
    },
  });
  metrics.gauge('ssom.create.queue', 'CreateAlerts that wait for their answer.', () => batcher.room.requests);
  metrics.gauge(
    'ssom.create.queue.characters',
    'Characters of text in the CreateAlerts that wait.',
    () => batcher.room.characters,
  );
  metrics.queue('create', () => batcher.room.requests, config.createQueueMax);
  metrics.queue('create_characters', () => batcher.room.characters, QUEUE_CHARACTERS);
  const resolver = new RecipientResolver(database);
  metrics.cache('directory_alert_api', () => resolver.lookups);
  metrics.gauge('ssom.directory.versions', 'Versions of the directory in memory.', () => [
    { value: resolver.size, attributes: { role: 'alert-api' } },
  ]);
  const rules = new StaffedRulesCache(database);
  const alerts = alertService({ batcher, computations: grpc.computations, resolver, rules, metrics });
  const { GetAlert, ListAlerts } = alerts;
  grpc.addService(
    api.AlertService.service,
    // The other two have the batcher's turns.
    { ...alerts, ...turnsByCaller({ GetAlert, ListAlerts }, database.breaker) },
    {
      weights: { BatchCreateAlerts: ({ requests }: BatchCreateAlertsRequest__Output) => requests.length },
      costs: {
        CreateAlert: (request: CreateAlertRequest__Output) => costOf([request]),
        BatchCreateAlerts: ({ requests }: BatchCreateAlertsRequest__Output) => costOf(requests),
      },
      refusal: () => database.breaker.refusal,
    },
  );
  const reads = new AdminReads(runtime, 'reads_alert_api');
  const inbox = inboxService({ metrics, logger, tracing, publishing: () => publishing, reads });
  const { ListInbox, MarkRead, MarkUnread, DeleteFromInbox } = inbox;
  // MarkAllRead has a queue of its own, in which a run may take minutes; GetUnreadCount reads one row.
  const inTurn = { ...inbox, ...turnsByInbox({ ListInbox, MarkRead, MarkUnread, DeleteFromInbox }, database.breaker) };
  grpc.addService(api.InboxService.service, { ...boundedByInbox(inTurn, grpc.users) });
  grpc.addService(api.DeviceService.service, { ...turnsByCaller(deviceService(reads), database.breaker) });
  grpc.addService(api.DirectoryService.service, { ...turnsByCaller(directoryService({ logger }), database.breaker) });

  async function connectToKafka(signal: AbortSignal): Promise<void> {
    publishing = await runtime.publishing(signal);
    relay.attach(publishing);
    // This role, since it reads no topic: it can tell of consumers that have stopped.
    runtime.observeGroups(signal);
  }

  return {
    async run(signal) {
      await runtime.databaseReady(signal);
      runtime.started('alert-api');
      await Promise.all([connectToKafka(signal), relay.run(signal)]);
    },
    close: () => relay.drain(),
  };
}

/** Of recipients those that are named; whom a department or a rule reaches is found by fan-out. */
function costOf(requests: readonly CreateAlertRequest__Output[]): Amounts {
  const names = requests.map(({ recipients }) => (recipients === null ? 0 : countNames(recipients)));
  return { alerts: requests.length, recipients: names.reduce((sum, count) => sum + count, 0) };
}

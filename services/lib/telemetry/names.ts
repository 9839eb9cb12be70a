/**
 * Names of spans and attributes: OpenTelemetry's semantic conventions (1.45), and ours under `ssom.`; those of an alert
 * are in domain/alert-attributes.ts. README.md beside this file says what each of ours means.
 */
export const ATTR = {
  rpcSystem: 'rpc.system.name',
  rpcMethod: 'rpc.method',
  rpcStatus: 'rpc.response.status_code',
  messagingSystem: 'messaging.system.name',
  messagingDestination: 'messaging.destination.name',
  messagingOperation: 'messaging.operation.name',
  messagingOperationType: 'messaging.operation.type',
  messagingGroup: 'messaging.consumer.group.name',
  messagingBatchCount: 'messaging.batch.message_count',
  messagingPartition: 'messaging.destination.partition.id',
  kafkaOffset: 'messaging.kafka.offset',
  dbSystem: 'db.system.name',
  dbSummary: 'db.query.summary',
  dbStatus: 'db.response.status_code',
  errorType: 'error.type',
  serverAddress: 'server.address',
  slow: 'ssom.slow',
  kafkaWait: 'ssom.kafka.wait_ms',
  batchAlerts: 'ssom.batch.alerts',
  attempt: 'ssom.attempt',
  unrecorded: 'ssom.attempts.unrecorded',
  redrives: 'ssom.redrives',
  swept: 'ssom.relay.swept',
  reconciled: 'ssom.reconcile',
  deadLetterClass: 'ssom.dead_letter.class',
  streams: 'ssom.stream.count',
  streamResumed: 'ssom.stream.resumed',
  streamBehind: 'ssom.stream.behind',
  pushAttempt: 'ssom.push.attempt',
  waitReason: 'ssom.wait.reason',
} as const;

/** Names of spans. */
export const SPAN = {
  commit: 'commit alert',
  send: (topic: string) => `send ${topic}`,
  process: (topic: string) => `process ${topic}`,
  wait: (place: string) => `wait in ${place}`,
  processBatch: (topic: string) => `process batch ${topic}`,
  deliver: 'deliver StreamAlerts',
  catchUp: 'catch up StreamAlerts',
  push: 'send fcm',
  dismiss: 'dismiss fcm',
} as const;

/** An event of a span: what it does failed and is tried again. */
export const RETRY_EVENT = 'ssom.retry';

export const KAFKA = 'kafka';
export const TRACEPARENT = 'traceparent';

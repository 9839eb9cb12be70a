/** Attribute and span names: OpenTelemetry's semantic conventions (1.45), and ours under `ssom.`. */
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
  messagingKey: 'messaging.kafka.message.key',
  kafkaOffset: 'messaging.kafka.offset',
  errorType: 'error.type',
  alertId: 'ssom.alert.id',
  alertKind: 'ssom.alert.kind',
  alertRecipients: 'ssom.alert.recipients',
  sequence: 'ssom.inbox.sequence',
  serverAddress: 'server.address',
  pushAttempt: 'ssom.push.attempt',
} as const;

export const KAFKA = 'kafka';
export const TRACEPARENT = 'traceparent';

// Requests as bytes and responses by a glance, so that the load client spends its CPU on gRPC and on little else.
import { api, messageType } from '../../../services/api/protos.js';

const LENGTH_DELIMITED = 2;

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

function field(number: number, content: Buffer): Buffer[] {
  return [varint((number << 3) | LENGTH_DELIMITED), varint(content.length), content];
}

/** About 400 bytes, as a Grafana rule of ours makes it. */
const ALERT = {
  kind: 'ALERT_KIND_GRAFANA',
  appName: 'ssok-bank-api',
  level: 'ALERT_LEVEL_ERROR',
  title: 'p99 of POST /api/transfers above 800 ms for five minutes',
  message:
    'The 99th percentile of POST /api/transfers in ssok-bank-api has been above 800 ms since the last evaluation. ' +
    'Current value: 1,243 ms. Pods: 4 of 4 ready. Runbook: https://runbooks.example/ssok/transfer-latency',
  labels: { cluster: 'production', namespace: 'ssok', severity: 'error' },
};

const createType = messageType('ssom.alert.v1.CreateAlertRequest');
const ALERT_BYTES = Buffer.from(createType.encode(createType.fromObject(ALERT)).finish());

/**
 * A CreateAlertRequest; without a user the routing rules say who receives it. `sourceId` tells it apart on a stream.
 */
export function createRequest(
  requestId: string,
  options: { userId?: string; userIds?: readonly string[]; sourceId?: string } = {},
): Buffer {
  const parts = [...field(1, Buffer.from(requestId)), ALERT_BYTES];
  if (options.sourceId !== undefined) parts.push(...field(8, Buffer.from(options.sourceId)));
  const users = options.userId === undefined ? (options.userIds ?? []) : [options.userId];
  const names = users.flatMap((userId) => field(1, Buffer.from(userId)));
  if (names.length > 0) parts.push(...field(10, Buffer.concat(names)));
  return Buffer.concat(parts);
}

/** A BatchCreateAlertsRequest. */
export function batchRequest(requests: readonly Buffer[]): Buffer {
  return Buffer.concat(requests.flatMap((request) => field(1, request)));
}

/** Where the contents of a message's fields number 1 begin, those with a length, without reading what is in them. */
function* firstFields(message: Buffer): Generator<number> {
  for (let at = 0; at < message.length;) {
    const tag = message[at]!;
    at += 1;
    let value = 0;
    for (let scale = 1, more = true; more; scale *= 128, at += 1) {
      value += (message[at]! & 127) * scale;
      more = message[at]! > 127;
    }
    if ((tag & 7) !== LENGTH_DELIMITED) continue;
    if (tag >> 3 === 1) yield at;
    at += value;
  }
}

/** Changes of a StreamAlertsResponse. */
export function countChanges(response: Buffer): number {
  let count = 0;
  const fields = firstFields(response);
  while (fields.next().done !== true) count += 1;
  return count;
}

/** Stored alerts of a BatchCreateAlertsResponse. */
export function countStored(response: Buffer): number {
  let count = 0;
  for (const start of firstFields(response)) if (response[start]! >> 3 === 1) count += 1;
  return count;
}

/** The source ids of the alerts of a StreamAlertsResponse. */
export function sourceIds(response: Buffer): string[] {
  const { changes } = api.AlertStreamService.service.StreamAlerts.responseDeserialize(response);
  return changes.map(({ alert }) => alert?.sourceId ?? '');
}

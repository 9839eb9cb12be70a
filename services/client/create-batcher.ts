import { AsyncResource } from 'node:async_hooks';
import * as grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { api, messageType } from '../api/protos.js';
import type {
  BatchCreateAlertsResponse__Output,
  BatchItemError__Output,
  CreateAlertResponse__Output,
} from '../gen/types.js';
import { Batcher } from '../lib/batcher.js';
import type { NamedAlert } from './check-request.js';
import { AlertClientError, type StatusName, toClientError } from './errors.js';

const { CreateAlert } = api.AlertService.service;

/** The service's bound. */
const ITEMS_MAX = 500;
/** Half of what one gRPC message may hold, since a service may take less than ours does. */
const BYTES_MAX = 512 * 1024;
/** Calls that look for what is wrong with a batch: one bad alert among 500 is found with 18 of them. */
const SEARCH_CALLS_MAX = 64;
/** Calls under way at once; what is created meanwhile gathers for the next. */
const CALLS_MAX = 2;
/** Alerts that may wait. */
const WAITING_MAX = 10_000;

/** Sends an encoded BatchCreateAlertsRequest. */
type Send = (request: Buffer) => Promise<BatchCreateAlertsResponse__Output>;

interface Item {
  /** Encoded when it was queued, so that its length is known. */
  readonly request: Buffer;
  /** Of whoever created it: a batch belongs to the trace of its first one. */
  readonly context: AsyncResource;
  readonly resolve: (response: CreateAlertResponse__Output) => void;
  readonly reject: (error: AlertClientError) => void;
}

/**
 * Gathers alerts into BatchCreateAlerts calls: a batch takes what has come while earlier ones were under way, so
 * nothing waits for a timer, and under load a call carries many.
 */
export class CreateBatcher {
  readonly #waiting: Item[] = [];
  readonly #calls = new Batcher<Item>({
    workersMax: () => CALLS_MAX,
    take: () => this.#take(),
    work: (batch) => batch[0]!.context.runInAsyncScope(() => this.#call(batch, { left: SEARCH_CALLS_MAX })),
  });

  constructor(private readonly send: Send) {}

  /**
   * @param request checked
   * @throws AlertClientError what became of this one alert
   */
  async create(request: NamedAlert): Promise<CreateAlertResponse__Output> {
    if (this.#waiting.length >= WAITING_MAX) {
      throw new AlertClientError(
        'RESOURCE_EXHAUSTED',
        'CLIENT_QUEUE_FULL',
        `${WAITING_MAX} alerts wait in this client already; create them more slowly, or await the earlier ones`,
        { retryAfterMs: 1000 },
      );
    }
    const encoded = CreateAlert.requestSerialize(request);
    return new Promise((resolve, reject) => {
      const context = new AsyncResource('CreateBatcher');
      this.#waiting.push({ request: encoded, context, resolve, reject });
      this.#calls.wake();
    });
  }

  #take(): Item[] {
    let count = 0;
    for (let bytes = 0; count < Math.min(this.#waiting.length, ITEMS_MAX); count += 1) {
      bytes += this.#waiting[count]!.request.length;
      if (bytes > BYTES_MAX && count > 0) break;
    }
    return this.#waiting.splice(0, count);
  }

  /** @param search how many more calls may be made to find what is wrong with a batch */
  async #call(batch: readonly Item[], search: { left: number }): Promise<void> {
    try {
      const { results } = await this.send(batchOf(batch));
      for (const [index, { resolve, reject }] of batch.entries()) {
        const { response, error } = results[index] ?? {};
        if (response) resolve(response);
        else
          reject(error ? itemError(error) : new AlertClientError('UNKNOWN', '', 'the service gave no result for it'));
      }
    } catch (thrown) {
      const error = toClientError(thrown);
      if (batch.length > 1 && isOfTheBatch(error) && search.left >= 2) {
        search.left -= 2;
        const middle = batch.length >> 1;
        for (const half of [batch.slice(0, middle), batch.slice(middle)]) await this.#call(half, search);
        return;
      }
      for (const { reject } of batch) reject(error);
    }
  }
}

function itemError({ code, reason, message, fieldViolations, retryAfterMs }: BatchItemError__Output): AlertClientError {
  return new AlertClientError((grpc.status[code] ?? 'UNKNOWN') as StatusName, reason, message, {
    violations: fieldViolations,
    ...(retryAfterMs > 0 ? { retryAfterMs } : {}),
  });
}

/** Failures of a whole call that one of its items, or their number, may be to blame for. */
function isOfTheBatch({ code, canRetry }: AlertClientError): boolean {
  return !canRetry && (code === 'RESOURCE_EXHAUSTED' || code === 'INVALID_ARGUMENT' || code === 'INTERNAL');
}

const LENGTH_DELIMITED = 2;

/** A BatchCreateAlertsRequest of what is encoded already. */
function batchOf(items: readonly Item[]): Buffer {
  const field = messageType('ssom.alert.v1.BatchCreateAlertsRequest').fields['requests']!.id;
  const writer = protobuf.Writer.create();
  for (const { request } of items) writer.uint32((field << 3) | LENGTH_DELIMITED).bytes(request);
  return Buffer.from(writer.finish());
}

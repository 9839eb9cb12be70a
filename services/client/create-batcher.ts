import { AsyncResource } from 'node:async_hooks';
import * as grpc from '@grpc/grpc-js';
import type { BatchCreateAlertsResponse__Output } from '../lib/grpc/types/ssom/alert/v1/BatchCreateAlertsResponse.js';
import type { BatchItemError__Output } from '../lib/grpc/types/ssom/alert/v1/BatchItemError.js';
import type { CreateAlertRequest } from '../lib/grpc/types/ssom/alert/v1/CreateAlertRequest.js';
import type { CreateAlertResponse__Output } from '../lib/grpc/types/ssom/alert/v1/CreateAlertResponse.js';
import { AlertClientError, toClientError, type StatusName } from './errors.js';

/** The service's bound. */
const ITEMS_MAX = 500;
/** Half of what one gRPC message may hold, since lengths are estimated. */
const BYTES_MAX = 512 * 1024;
/** Calls under way at once; what is created meanwhile gathers for the next. */
const CALLS_MAX = 2;
/** Alerts that may wait. */
const WAITING_MAX = 10_000;

type Send = (requests: CreateAlertRequest[]) => Promise<BatchCreateAlertsResponse__Output>;

interface Item {
  readonly request: CreateAlertRequest;
  readonly bytes: number;
  /** Of whoever created it: a batch belongs to the trace of its first one. */
  readonly context: AsyncResource;
  readonly resolve: (response: CreateAlertResponse__Output) => void;
  readonly reject: (error: AlertClientError) => void;
}

/**
 * Gathers alerts into BatchCreateAlerts calls: a batch takes what has come while earlier ones were under way, so nothing
 * waits for a timer, and under load a call carries many.
 */
export class CreateBatcher {
  #waiting: Item[] = [];
  #calls = 0;

  constructor(private readonly send: Send) {}

  /** @throws AlertClientError what became of this one alert */
  create(request: CreateAlertRequest): Promise<CreateAlertResponse__Output> {
    if (this.#waiting.length >= WAITING_MAX) {
      return Promise.reject(
        new AlertClientError(
          'RESOURCE_EXHAUSTED',
          'CLIENT_QUEUE_FULL',
          `${WAITING_MAX} alerts wait in this client already; create them more slowly, or await the earlier ones`,
          { retryAfterMs: 1000 },
        ),
      );
    }
    return new Promise((resolve, reject) => {
      const context = new AsyncResource('CreateBatcher');
      this.#waiting.push({ request, bytes: sizeOf(request), context, resolve, reject });
      // What the caller creates in the same breath goes along.
      if (this.#waiting.length === 1) queueMicrotask(() => this.#next());
    });
  }

  #next(): void {
    while (this.#calls < CALLS_MAX && this.#waiting.length > 0) {
      let count = 0;
      for (let bytes = 0; count < Math.min(this.#waiting.length, ITEMS_MAX); count += 1) {
        bytes += this.#waiting[count]!.bytes;
        if (bytes > BYTES_MAX && count > 0) break;
      }
      const batch = this.#waiting.splice(0, count);
      this.#calls += 1;
      const call = batch[0]!.context.runInAsyncScope(() => this.#call(batch));
      void call.finally(() => {
        this.#calls -= 1;
        this.#next();
      });
    }
  }

  async #call(batch: readonly Item[]): Promise<void> {
    try {
      const { results } = await this.send(batch.map(({ request }) => request));
      for (const [index, { resolve, reject }] of batch.entries()) {
        const { response, error } = results[index] ?? {};
        if (response) resolve(response);
        else
          reject(error ? itemError(error) : new AlertClientError('UNKNOWN', '', 'the service gave no result for it'));
      }
    } catch (error) {
      for (const { reject } of batch) reject(toClientError(error));
    }
  }
}

function itemError({ code, reason, message, fieldViolations, retryAfterMs }: BatchItemError__Output): AlertClientError {
  return new AlertClientError((grpc.status[code] ?? 'UNKNOWN') as StatusName, reason, message, {
    violations: fieldViolations,
    ...(retryAfterMs > 0 ? { retryAfterMs } : {}),
  });
}

/** About how many bytes a request takes: its texts, and some for each field. */
function sizeOf({ title = '', message = '', labels, recipients }: CreateAlertRequest): number {
  const text = (value: unknown) => (typeof value === 'string' ? 3 * value.length : 0);
  let bytes = 1024 + text(title) + text(message);
  for (const [key, value] of Object.entries(labels ?? {})) bytes += text(key) + text(value);
  for (const list of [recipients?.userIds, recipients?.githubLogins])
    for (const name of list ?? []) bytes += 4 + text(name);
  return bytes;
}

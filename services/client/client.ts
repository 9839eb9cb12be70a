import { setMaxListeners } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import type { MethodDefinition } from '@grpc/proto-loader';
import { api, requestType } from '../api/protos.js';
import type {
  AlertServiceClient,
  BatchCreateAlertsResponse__Output,
  CreateAlertResponse__Output,
  DeviceServiceClient,
  DirectoryServiceClient,
  InboxServiceClient,
} from '../gen/types.js';
import { TRACEPARENT } from '../lib/telemetry/names.js';
import { activeTraceparent } from '../lib/telemetry/traceparent.js';
import {
  type Calls,
  type CallSettings,
  closedError,
  type CreateOptions,
  repeat,
  type RepeatOptions,
  type Unary,
  unary,
} from './call.js';
import { channelCredentials, type MutualTls, openChannel } from './channel.js';
import { checkTimeout } from './check.js';
import { checkBatch } from './check-batch.js';
import { type BatchCreateAlertsRequest, checkAlert, type CreateAlertRequest } from './check-request.js';
import { CreateBatcher } from './create-batcher.js';
import { type ClientIdentity, identityHeader } from './identity.js';
import { checkRequest } from './request-form.js';
import { type AlertStream, type Logger, ResumingStream, type StreamOptions } from './stream.js';
import { StreamChannel } from './stream-channel.js';

export interface ClientOptions {
  /** host:port of alert-api or standalone. */
  readonly address: string;
  /** host:port of stream-gateway, where it is another one; several, of which a stream that was lost tries the next. */
  readonly streamAddress?: string | readonly string[];
  readonly identity: ClientIdentity;
  /**
   * Encrypts the connection: true trusts what Node trusts, a PEM text these authorities alone; with
   * a certificate and its key we are known by them (mTLS). Default false.
   */
  readonly tls?: boolean | string | MutualTls;
  /** How long one attempt of a call may take, in milliseconds, 1 to 86,400,000; 10,000. */
  readonly timeoutMs?: number;
  /** Told when a stream was lost, once for each cause until it is back; a logger of pino fits. */
  readonly logger?: Logger;
}

type Repeated = 'createAlert' | 'batchCreateAlerts';

/**
 * The calls of the alert service. Every one fails with an AlertClientError. Requests and responses are those of
 * proto/ssom/alert/v1.
 */
export interface AlertClient
  extends
    Omit<Calls<AlertServiceClient>, Repeated>,
    Calls<InboxServiceClient>,
    Calls<DeviceServiceClient>,
    Calls<DirectoryServiceClient> {
  /** Stores an alert. Gets a request id unless it has one, so that it can be tried again without a second alert. */
  createAlert(request: CreateAlertRequest, options?: CreateOptions): Promise<CreateAlertResponse__Output>;
  /** Stores up to 500 alerts. Tried again as createAlert is; errors of single items are the caller's to look at. */
  batchCreateAlerts(
    request: BatchCreateAlertsRequest,
    options?: RepeatOptions,
  ): Promise<BatchCreateAlertsResponse__Output>;
  /** An inbox as it changes, across lost connections; see ./stream.ts. */
  streamAlerts(options?: StreamOptions): AlertStream;
  /** Ends the streams and closes the connections; running calls are cut off by their deadline at the latest. */
  close(): void;
}

const { CreateAlert, BatchCreateAlerts } = api.AlertService.service;
const METHODS = [api.AlertService, api.InboxService, api.DeviceService, api.DirectoryService].flatMap(({ service }) =>
  Object.values(service as object as Record<string, MethodDefinition<object, object>>),
);
const TIMEOUT_MS = 10_000;

/**
 * Connects to the service, on the first call. Calls share one connection, streams another.
 * @throws AlertClientError INVALID_ARGUMENT for an address, an identity or a time that could not be right
 */
export function createClient(options: ClientOptions): AlertClient {
  const { timeoutMs = TIMEOUT_MS } = options;
  checkTimeout('timeoutMs', timeoutMs);
  const identity = identityHeader(options.identity);
  const closing = new AbortController();
  // Every call and stream listens to it; there is no leak to warn of.
  setMaxListeners(0, closing.signal);
  const metadata = async (refused: boolean) => {
    const headers = new grpc.Metadata();
    headers.set(...(await identity(refused)));
    const traceparent = activeTraceparent();
    if (traceparent !== undefined) headers.set(TRACEPARENT, traceparent);
    return headers;
  };
  const credentials = channelCredentials(options.tls ?? false);
  const channel = openChannel(options.address, credentials);
  const streams = new StreamChannel([options.streamAddress ?? options.address].flat(), credentials, metadata);
  const settings: CallSettings = {
    stub: new grpc.Client(options.address, credentials, { channelOverride: channel }),
    timeoutMs,
    closed: closing.signal,
    hasFreshCredentials: 'token' in options.identity && typeof options.identity.token === 'function',
    metadata,
  };
  const createAlert = unary(settings, CreateAlert);
  const createBatch = unary(settings, BatchCreateAlerts);
  const createEncoded = unary(settings, { ...BatchCreateAlerts, requestSerialize: (bytes: Buffer) => bytes });
  const batcher = new CreateBatcher((request) => createEncoded(request));

  return {
    ...checkedCalls(settings),
    createAlert: async (request, more = {}) => {
      // Here, and not with its call: there it would be the fault of all that travel with it.
      const named = checkAlert(request);
      return repeat(
        () => (more.batch === true ? batcher.create(named) : createAlert(named, more)),
        [named.requestId],
        more,
        closing.signal,
      );
    },
    batchCreateAlerts: async (request, more = {}) => {
      const batch = checkBatch(request);
      const { requests, requestIds } = batch;
      if (requests.length === 0 && requestIds.length > 0) return batch.complete([]);
      const { results } = await repeat(() => createBatch({ requests }, more), requestIds, more, closing.signal);
      return batch.complete(results);
    },
    streamAlerts: (more = {}) => {
      if (closing.signal.aborted) throw closedError();
      return new ResumingStream(streams, more, closing.signal, options.logger);
    },
    close: () => {
      closing.abort();
      channel.close();
      streams.close();
    },
  };
}

/** All methods of the services, by their names in lower case. */
function checkedCalls(settings: CallSettings): Omit<AlertClient, Repeated | 'streamAlerts' | 'close'> {
  const calls = METHODS.map((method) => {
    const type = requestType(method.path.slice(1));
    const call = unary(settings, method);
    const checked: Unary<object, object> = async (request, more) => call(checkRequest(type, request), more);
    return [method.originalName!, checked] as const;
  });
  return Object.fromEntries(calls) as never;
}

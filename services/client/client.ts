import { setMaxListeners } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import { api, requestType } from '../api/protos.js';
import type {
  BatchCreateAlertsResponse__Output,
  CreateAlertResponse__Output,
  DeleteFromInboxRequest,
  DeleteFromInboxResponse__Output,
  GetAlertRequest,
  GetAlertResponse__Output,
  GetRoutingRulesRequest,
  GetRoutingRulesResponse__Output,
  GetUnreadCountRequest,
  GetUnreadCountResponse__Output,
  ListAlertsRequest,
  ListAlertsResponse__Output,
  ListDevicesRequest,
  ListDevicesResponse__Output,
  ListInboxRequest,
  ListInboxResponse__Output,
  ListUsersRequest,
  ListUsersResponse__Output,
  MarkAllReadRequest,
  MarkAllReadResponse__Output,
  MarkReadRequest,
  MarkReadResponse__Output,
  MarkUnreadRequest,
  MarkUnreadResponse__Output,
  RegisterDeviceRequest,
  RegisterDeviceResponse__Output,
  SetRoutingRulesRequest,
  SetRoutingRulesResponse__Output,
  UnregisterDeviceRequest,
  UnregisterDeviceResponse__Output,
  UpsertUsersRequest,
  UpsertUsersResponse__Output,
} from '../gen/types.js';
import { TRACEPARENT } from '../lib/telemetry/names.js';
import { activeTraceparent } from '../lib/telemetry/traceparent.js';
import {
  closedError,
  repeat,
  unary,
  type CallSettings,
  type CreateOptions,
  type Method,
  type RepeatOptions,
  type Unary,
} from './call.js';
import { channelCredentials, openChannel } from './channel.js';
import { checkTimeout } from './check.js';
import { checkBatch } from './check-batch.js';
import {
  checkAlert,
  type BatchCreateAlertsRequest,
  type CreateAlertRequest,
  type NamedAlert,
} from './check-request.js';
import { CreateBatcher } from './create-batcher.js';
import { identityHeader, type ClientIdentity } from './identity.js';
import { StreamChannel } from './stream-channel.js';
import { checkRequest } from './request-form.js';
import { ResumingStream, type AlertStream, type Logger, type StreamOptions } from './stream.js';

export interface ClientOptions {
  /** host:port of alert-api or standalone. */
  readonly address: string;
  /** host:port of stream-gateway, where it is another one; several, of which a stream that was lost tries the next. */
  readonly streamAddress?: string | readonly string[];
  readonly identity: ClientIdentity;
  /** Encrypts the connection: true trusts what Node trusts, a PEM text trusts these authorities alone. Default false. */
  readonly tls?: boolean | string;
  /** How long one attempt of a call may take, in milliseconds, 1 to 86,400,000; 10,000. */
  readonly timeoutMs?: number;
  /** Told when a stream was lost, once for each cause until it is back; a logger of pino fits. */
  readonly logger?: Logger;
}

/**
 * The calls of the alert service. Every one fails with an AlertClientError. Requests and responses are those of
 * proto/ssom/alert/v1.
 */
export interface AlertClient {
  /** Stores an alert. Gets a request id unless it has one, so that it can be tried again without a second alert. */
  createAlert(request: CreateAlertRequest, options?: CreateOptions): Promise<CreateAlertResponse__Output>;
  /** Stores up to 500 alerts. Tried again as createAlert is; errors of single items are the caller's to look at. */
  batchCreateAlerts(
    request: BatchCreateAlertsRequest,
    options?: RepeatOptions,
  ): Promise<BatchCreateAlertsResponse__Output>;
  readonly getAlert: Unary<GetAlertRequest, GetAlertResponse__Output>;
  readonly listAlerts: Unary<ListAlertsRequest, ListAlertsResponse__Output>;
  readonly listInbox: Unary<ListInboxRequest, ListInboxResponse__Output>;
  readonly markRead: Unary<MarkReadRequest, MarkReadResponse__Output>;
  readonly markUnread: Unary<MarkUnreadRequest, MarkUnreadResponse__Output>;
  readonly markAllRead: Unary<MarkAllReadRequest, MarkAllReadResponse__Output>;
  readonly deleteFromInbox: Unary<DeleteFromInboxRequest, DeleteFromInboxResponse__Output>;
  readonly getUnreadCount: Unary<GetUnreadCountRequest, GetUnreadCountResponse__Output>;
  readonly registerDevice: Unary<RegisterDeviceRequest, RegisterDeviceResponse__Output>;
  readonly unregisterDevice: Unary<UnregisterDeviceRequest, UnregisterDeviceResponse__Output>;
  readonly listDevices: Unary<ListDevicesRequest, ListDevicesResponse__Output>;
  readonly upsertUsers: Unary<UpsertUsersRequest, UpsertUsersResponse__Output>;
  readonly listUsers: Unary<ListUsersRequest, ListUsersResponse__Output>;
  readonly setRoutingRules: Unary<SetRoutingRulesRequest, SetRoutingRulesResponse__Output>;
  readonly getRoutingRules: Unary<GetRoutingRulesRequest, GetRoutingRulesResponse__Output>;
  /** An inbox as it changes, across lost connections; see ./stream.ts. */
  streamAlerts(options?: StreamOptions): AlertStream;
  /** Ends the streams and closes the connections; running calls are cut off by their deadline at the latest. */
  close(): void;
}

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
  const settings: CallSettings = {
    timeoutMs,
    closed: closing.signal,
    hasFreshCredentials: 'token' in options.identity && typeof options.identity.token === 'function',
    metadata: async (refused) => {
      const metadata = new grpc.Metadata();
      metadata.set(...(await identity(refused)));
      const traceparent = activeTraceparent();
      if (traceparent !== undefined) metadata.set(TRACEPARENT, traceparent);
      return metadata;
    },
  };

  const credentials = channelCredentials(options.tls ?? false);
  const channel = openChannel(options.address, credentials);
  const stubOptions = { channelOverride: channel };
  const alerts = new api.AlertService(options.address, credentials, stubOptions);
  const inbox = new api.InboxService(options.address, credentials, stubOptions);
  const devices = new api.DeviceService(options.address, credentials, stubOptions);
  const directory = new api.DirectoryService(options.address, credentials, stubOptions);
  const streams = new StreamChannel([options.streamAddress ?? options.address].flat(), credentials, settings.metadata);

  const send = <Request, Response>(name: string, method: Method<Request, Response>) =>
    unary(settings, `ssom.alert.v1.${name}`, method);
  const call = <Request, Response>(name: string, method: Method<Request, Response>): Unary<Request, Response> => {
    const type = requestType(`ssom.alert.v1.${name}`);
    const sendChecked = send(name, method);
    return async (request, more) => sendChecked(checkRequest(type, request), more);
  };
  const createAlert = send<NamedAlert, CreateAlertResponse__Output>('AlertService/CreateAlert', (...args) =>
    alerts.createAlert(...args),
  );
  const createBatch = send<{ requests: NamedAlert[] }, BatchCreateAlertsResponse__Output>(
    'AlertService/BatchCreateAlerts',
    (...args) => alerts.batchCreateAlerts(...args),
  );

  const { path, responseDeserialize } = api.AlertService.service.BatchCreateAlerts;
  const createEncoded = send<Buffer, BatchCreateAlertsResponse__Output>('AlertService/BatchCreateAlerts', (...args) =>
    alerts.makeUnaryRequest(path, (bytes) => bytes, responseDeserialize, ...args),
  );
  const batcher = new CreateBatcher((request) => createEncoded(request));

  return {
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
    getAlert: call('AlertService/GetAlert', (...args) => alerts.getAlert(...args)),
    listAlerts: call('AlertService/ListAlerts', (...args) => alerts.listAlerts(...args)),
    listInbox: call('InboxService/ListInbox', (...args) => inbox.listInbox(...args)),
    markRead: call('InboxService/MarkRead', (...args) => inbox.markRead(...args)),
    markUnread: call('InboxService/MarkUnread', (...args) => inbox.markUnread(...args)),
    markAllRead: call('InboxService/MarkAllRead', (...args) => inbox.markAllRead(...args)),
    deleteFromInbox: call('InboxService/DeleteFromInbox', (...args) => inbox.deleteFromInbox(...args)),
    getUnreadCount: call('InboxService/GetUnreadCount', (...args) => inbox.getUnreadCount(...args)),
    registerDevice: call('DeviceService/RegisterDevice', (...args) => devices.registerDevice(...args)),
    unregisterDevice: call('DeviceService/UnregisterDevice', (...args) => devices.unregisterDevice(...args)),
    listDevices: call('DeviceService/ListDevices', (...args) => devices.listDevices(...args)),
    upsertUsers: call('DirectoryService/UpsertUsers', (...args) => directory.upsertUsers(...args)),
    listUsers: call('DirectoryService/ListUsers', (...args) => directory.listUsers(...args)),
    setRoutingRules: call('DirectoryService/SetRoutingRules', (...args) => directory.setRoutingRules(...args)),
    getRoutingRules: call('DirectoryService/GetRoutingRules', (...args) => directory.getRoutingRules(...args)),
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

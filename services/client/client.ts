import { randomUUID } from 'node:crypto';
import grpc from '@grpc/grpc-js';
import { api } from '../lib/grpc/protos.js';
import type { BatchCreateAlertsRequest } from '../lib/grpc/types/ssom/alert/v1/BatchCreateAlertsRequest.js';
import type { BatchCreateAlertsResponse__Output } from '../lib/grpc/types/ssom/alert/v1/BatchCreateAlertsResponse.js';
import type { CreateAlertRequest } from '../lib/grpc/types/ssom/alert/v1/CreateAlertRequest.js';
import type { CreateAlertResponse__Output } from '../lib/grpc/types/ssom/alert/v1/CreateAlertResponse.js';
import type { DeleteFromInboxRequest } from '../lib/grpc/types/ssom/alert/v1/DeleteFromInboxRequest.js';
import type { DeleteFromInboxResponse__Output } from '../lib/grpc/types/ssom/alert/v1/DeleteFromInboxResponse.js';
import type { GetAlertRequest } from '../lib/grpc/types/ssom/alert/v1/GetAlertRequest.js';
import type { GetAlertResponse__Output } from '../lib/grpc/types/ssom/alert/v1/GetAlertResponse.js';
import type { GetRoutingRulesRequest } from '../lib/grpc/types/ssom/alert/v1/GetRoutingRulesRequest.js';
import type { GetRoutingRulesResponse__Output } from '../lib/grpc/types/ssom/alert/v1/GetRoutingRulesResponse.js';
import type { GetUnreadCountRequest } from '../lib/grpc/types/ssom/alert/v1/GetUnreadCountRequest.js';
import type { GetUnreadCountResponse__Output } from '../lib/grpc/types/ssom/alert/v1/GetUnreadCountResponse.js';
import type { ListAlertsRequest } from '../lib/grpc/types/ssom/alert/v1/ListAlertsRequest.js';
import type { ListAlertsResponse__Output } from '../lib/grpc/types/ssom/alert/v1/ListAlertsResponse.js';
import type { ListInboxRequest } from '../lib/grpc/types/ssom/alert/v1/ListInboxRequest.js';
import type { ListInboxResponse__Output } from '../lib/grpc/types/ssom/alert/v1/ListInboxResponse.js';
import type { ListUsersRequest } from '../lib/grpc/types/ssom/alert/v1/ListUsersRequest.js';
import type { ListUsersResponse__Output } from '../lib/grpc/types/ssom/alert/v1/ListUsersResponse.js';
import type { MarkAllReadRequest } from '../lib/grpc/types/ssom/alert/v1/MarkAllReadRequest.js';
import type { MarkAllReadResponse__Output } from '../lib/grpc/types/ssom/alert/v1/MarkAllReadResponse.js';
import type { MarkReadRequest } from '../lib/grpc/types/ssom/alert/v1/MarkReadRequest.js';
import type { MarkReadResponse__Output } from '../lib/grpc/types/ssom/alert/v1/MarkReadResponse.js';
import type { MarkUnreadRequest } from '../lib/grpc/types/ssom/alert/v1/MarkUnreadRequest.js';
import type { MarkUnreadResponse__Output } from '../lib/grpc/types/ssom/alert/v1/MarkUnreadResponse.js';
import type { SetRoutingRulesRequest } from '../lib/grpc/types/ssom/alert/v1/SetRoutingRulesRequest.js';
import type { SetRoutingRulesResponse__Output } from '../lib/grpc/types/ssom/alert/v1/SetRoutingRulesResponse.js';
import type { StreamAlertsRequest } from '../lib/grpc/types/ssom/alert/v1/StreamAlertsRequest.js';
import type { UpsertUsersRequest } from '../lib/grpc/types/ssom/alert/v1/UpsertUsersRequest.js';
import type { UpsertUsersResponse__Output } from '../lib/grpc/types/ssom/alert/v1/UpsertUsersResponse.js';
import type { Logger } from '../lib/logging.js';
import { TRACEPARENT } from '../lib/telemetry/names.js';
import { activeTraceparent } from '../lib/telemetry/tracing.js';
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
import { CreateBatcher } from './create-batcher.js';
import { AlertClientError } from './errors.js';
import { ResumingStream, type AlertStream, type StreamConnection, type StreamOptions } from './stream.js';

export interface ClientOptions {
  /** host:port of alert-api or standalone. */
  readonly address: string;
  /** host:port of stream-gateway, where it is another one; several, of which a stream that was lost tries the next. */
  readonly streamAddress?: string | readonly string[];
  /**
   * Who calls: where the service runs with AUTH_MODE=dev a user (its own inbox) or a calling service, by name; elsewhere a
   * bearer token, or what gives one when it is needed.
   */
  readonly identity: { readonly userId: string } | { readonly caller: string } | { readonly token: TokenSource };
  /** Encrypts the connection: true trusts what Node trusts, a PEM text trusts these authorities alone. Default false. */
  readonly tls?: boolean | string;
  /** How long one attempt of a call may take; 10,000. */
  readonly timeoutMs?: number;
  readonly logger?: Logger;
}

/** `refused`: the service did not accept the last one, so a token that was kept must be made anew. */
export type TokenSource = string | ((refused: boolean) => string | Promise<string>);

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

const CHANNEL_OPTIONS: grpc.ChannelOptions = {
  // A connection that carries a call and does not answer a ping for 10 s is dead.
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  // The default waits up to two minutes before it dials again.
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 5000,
  // A page of 500 alerts with messages of 16,384 characters of 4 bytes.
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
  // Otherwise a new channel would be given the connection that was just found dead.
  'grpc.use_local_subchannel_pool': 1,
  // Saves a DNS query for a TXT record that nobody writes.
  'grpc.service_config_disable_resolution': 1,
};

/**
 * Connects to the service, on the first call. Calls share one connection, streams another.
 * @throws AlertClientError INVALID_ARGUMENT if the identity cannot be sent
 */
export function createClient(options: ClientOptions): AlertClient {
  const identity = identityHeader(options.identity);
  const closing = new AbortController();
  const settings: CallSettings = {
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
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
  const directory = new api.DirectoryService(options.address, credentials, stubOptions);
  const streams = new StreamChannel([options.streamAddress ?? options.address].flat(), credentials, settings.metadata);

  const call = <Request, Response>(method: Method<Request, Response>) => unary(settings, method);
  const createAlert: AlertClient['createAlert'] = call((...args) => alerts.createAlert(...args));
  const createBatch: AlertClient['batchCreateAlerts'] = call((...args) => alerts.batchCreateAlerts(...args));

  const batcher = new CreateBatcher((requests) => createBatch({ requests }));

  return {
    createAlert: (request, more = {}) => {
      const named = withRequestId(request);
      return repeat(() => (more.batch === true ? batcher.create(named) : createAlert(named, more)), more);
    },
    batchCreateAlerts: (request, more = {}) => {
      const named = { requests: (request.requests ?? []).map(withRequestId) };
      return repeat(() => createBatch(named, more), more);
    },
    getAlert: call((...args) => alerts.getAlert(...args)),
    listAlerts: call((...args) => alerts.listAlerts(...args)),
    listInbox: call((...args) => inbox.listInbox(...args)),
    markRead: call((...args) => inbox.markRead(...args)),
    markUnread: call((...args) => inbox.markUnread(...args)),
    markAllRead: call((...args) => inbox.markAllRead(...args)),
    deleteFromInbox: call((...args) => inbox.deleteFromInbox(...args)),
    getUnreadCount: call((...args) => inbox.getUnreadCount(...args)),
    upsertUsers: call((...args) => directory.upsertUsers(...args)),
    listUsers: call((...args) => directory.listUsers(...args)),
    setRoutingRules: call((...args) => directory.setRoutingRules(...args)),
    getRoutingRules: call((...args) => directory.getRoutingRules(...args)),
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

function channelCredentials(tls: boolean | string): grpc.ChannelCredentials {
  if (tls === false) return grpc.credentials.createInsecure();
  return grpc.credentials.createSsl(tls === true ? null : Buffer.from(tls));
}

function openChannel(address: string, credentials: grpc.ChannelCredentials): grpc.Channel {
  return new grpc.Channel(address, credentials, CHANNEL_OPTIONS);
}

function withRequestId(request: CreateAlertRequest): CreateAlertRequest {
  return request.requestId === undefined || request.requestId === ''
    ? { ...request, requestId: randomUUID() }
    : request;
}

/** gRPC metadata takes no other text; the service takes up to 128 characters. */
const SUBJECT = /^[\x21-\x7e]([\x20-\x7e]{0,126}[\x21-\x7e])?$/;

type Header = [name: string, value: string];

/** @returns what gives the header of a call */
function identityHeader(identity: ClientOptions['identity']): (refused: boolean) => Promise<Header> {
  if ('token' in identity) {
    const { token } = identity;
    return async (refused) => {
      try {
        return ['authorization', `Bearer ${typeof token === 'string' ? token : await token(refused)}`];
      } catch (error) {
        const message = `identity.token gave no token: ${(error as Error).message}`;
        throw new AlertClientError('UNAVAILABLE', 'TOKEN_SOURCE_FAILED', message, { cause: error });
      }
    };
  }
  const [field, header, subject] =
    'userId' in identity ? ['userId', 'x-user-id', identity.userId] : ['caller', 'x-caller', identity.caller];
  if (SUBJECT.test(subject)) return () => Promise.resolve([header, subject]);
  throw new AlertClientError(
    'INVALID_ARGUMENT',
    'IDENTITY_INVALID',
    `identity.${field} must be 1 to 128 printable ASCII characters, not '${subject}'`,
  );
}

/** The connections of the streams. One that fell silent is left to die with its calls, and another takes its place. */
class StreamChannel implements StreamConnection {
  #current: ReturnType<StreamChannel['connect']>;
  /** Clients begin at different gateways. */
  #next: number;

  constructor(
    private readonly addresses: readonly string[],
    private readonly credentials: grpc.ChannelCredentials,
    private readonly metadata: CallSettings['metadata'],
  ) {
    this.#next = Math.floor(Math.random() * addresses.length);
    this.#current = this.connect();
  }

  async open(request: StreamAlertsRequest, refused: boolean): ReturnType<StreamConnection['open']> {
    const metadata = await this.metadata(refused);
    const used = this.#current;
    const lost = (silent: boolean) => {
      // Streams that are lost together move together; grpc-js dials a single address again by itself.
      if (this.#current !== used || (!silent && this.addresses.length === 1)) return;
      used.channel.close();
      this.#current = this.connect();
    };
    return { call: used.stub.streamAlerts(request, metadata), lost };
  }

  close(): void {
    this.#current.channel.close();
  }

  private connect() {
    const address = this.addresses[this.#next++ % this.addresses.length]!;
    const channel = openChannel(address, this.credentials);
    return { channel, stub: new api.AlertStreamService(address, this.credentials, { channelOverride: channel }) };
  }
}

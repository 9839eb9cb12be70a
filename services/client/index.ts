/** What `import … from 'ssom-alert'` gives. */
export { createClient, type AlertClient, type ClientOptions } from './client.js';
export type { MutualTls } from './channel.js';
export type { ClientIdentity, TokenSource } from './identity.js';
export type { CallOptions, CreateOptions, RepeatOptions, Unary } from './call.js';
export type { BatchCreateAlertsRequest, CreateAlertRequest } from './check-request.js';
export type { Time } from './time.js';
export type { Backoff } from './retry-delay.js';
export { AlertClientError, type StatusName } from './errors.js';
export type { AlertStream, Logger, StreamEvent, StreamOptions, StreamState } from './stream.js';
export { fileTokenStore, type TokenStore } from './token-store.js';
export type { FieldViolation } from '../domain/errors.js';
export type {
  Adjustment__Output as Adjustment,
  Alert__Output as Alert,
  AlertKind,
  AlertLevel,
  CreateAlertResponse__Output as CreateAlertResponse,
  Device__Output as Device,
  InboxChange__Output as InboxChange,
  InboxEntry__Output as InboxEntry,
  Recipients,
  StreamAlertsResponse__Output as StreamAlertsResponse,
  StreamFilter,
  UnreachedRecipient__Output as UnreachedRecipient,
} from '../gen/types.js';

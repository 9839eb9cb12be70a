/** What `import … from 'ssom-alert'` gives. */
export { createClient, type AlertClient, type ClientOptions } from './client.js';
export type { ClientIdentity, TokenSource } from './identity.js';
export type { CallOptions, CreateOptions, RepeatOptions, Unary } from './call.js';
export type { Backoff } from './retry-delay.js';
export { AlertClientError, type StatusName } from './errors.js';
export type { AlertStream, Logger, StreamEvent, StreamOptions, StreamState } from './stream.js';
export { fileTokenStore, type TokenStore } from './token-store.js';
export type { FieldViolation } from '../domain/errors.js';
export type { Alert__Output as Alert } from '../lib/grpc/types/ssom/alert/v1/Alert.js';
export type { AlertKind } from '../lib/grpc/types/ssom/alert/v1/AlertKind.js';
export type { AlertLevel } from '../lib/grpc/types/ssom/alert/v1/AlertLevel.js';
export type { CreateAlertRequest } from '../lib/grpc/types/ssom/alert/v1/CreateAlertRequest.js';
export type { CreateAlertResponse__Output as CreateAlertResponse } from '../lib/grpc/types/ssom/alert/v1/CreateAlertResponse.js';
export type { InboxChange__Output as InboxChange } from '../lib/grpc/types/ssom/alert/v1/InboxChange.js';
export type { InboxEntry__Output as InboxEntry } from '../lib/grpc/types/ssom/alert/v1/InboxEntry.js';
export type { Recipients } from '../lib/grpc/types/ssom/alert/v1/Recipients.js';
export type { StreamAlertsResponse__Output as StreamAlertsResponse } from '../lib/grpc/types/ssom/alert/v1/StreamAlertsResponse.js';
export type { StreamFilter } from '../lib/grpc/types/ssom/alert/v1/StreamFilter.js';

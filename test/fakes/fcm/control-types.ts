// What the control API takes and gives. The server and client.ts share it.

/**
 * The conditions that Google documents for FCM, and the two that its front end adds (no access token, no permission).
 */
export type ErrorName =
  | 'UNSPECIFIED_ERROR'
  | 'INVALID_ARGUMENT'
  | 'UNAUTHENTICATED'
  | 'THIRD_PARTY_AUTH_ERROR'
  | 'PERMISSION_DENIED'
  | 'SENDER_ID_MISMATCH'
  | 'UNREGISTERED'
  | 'QUOTA_EXCEEDED'
  | 'INTERNAL'
  | 'UNAVAILABLE';

/**
 * When the connection is cut. `before`: the message is not accepted. `unheard`: it is, and no byte of the answer is
 * sent. `middle`: it is, and half of the answer is sent. `after`: the whole answer is sent, with a promise to keep the
 * connection.
 */
export type Cut = 'before' | 'unheard' | 'middle' | 'after';

/**
 * An answer that is not what was promised; the message is accepted unless `status` says otherwise. `half`: half of the
 * JSON, with a length that fits. `length-too-long`: more bytes are promised than come, and the connection stays open.
 * `length-too-short`: fewer bytes are promised than come.
 */
export type Malformed = 'not-json' | 'empty' | 'html' | 'half' | 'length-too-long' | 'length-too-short';

/**
 * Says what happens to the requests that it applies to. Rules are looked at in the order in which they were made: the
 * delays of all that apply add up, and the first that says more than a delay decides.
 */
export interface Rule {
  /** Only requests to this registration token. */
  readonly token?: string;
  /** Of the requests that are left, this share (0 to 1), by the server's seed. Default: all. */
  readonly share?: number;
  /** The share is one of connections: drawn once for each. */
  readonly perConnection?: boolean;
  /** Only to a token that had so many messages within the last minute: 240 is Google's limit for an Android device. */
  readonly perMinute?: number;
  /** Only requests with validate_only, or (false) without. */
  readonly validateOnly?: boolean;
  /** The rule ends after so many requests. Default: it stays until `reset` or `removeRule`. */
  readonly times?: number;

  readonly delayMs?: number;
  readonly error?: ErrorName;
  /** Of an error: the Retry-After header, in seconds or as a date (`new Date().toUTCString()`). */
  readonly retryAfter?: number | string;
  readonly cut?: Cut;
  readonly malformed?: Malformed;
  /** Of a malformed answer. Default: 200, and 502 for HTML. */
  readonly status?: number;
}

/** `known`: accepts messages. `dead`: UNREGISTERED. `other-sender`: SENDER_ID_MISMATCH. */
export type TokenState = 'known' | 'dead' | 'other-sender';

/** One request to a token, in the order in which the server decided about them. */
export interface Received {
  readonly token: string;
  /** Milliseconds since 1970, when the decision fell. */
  readonly at: number;
  readonly accepted: boolean;
  /** Of the answer; 0 when the connection was cut without one. */
  readonly status: number;
  /** `projects/P/messages/ID` when accepted. */
  readonly name?: string;
  /** The connection it came on: 1 is the server's first. */
  readonly connection: number;
  readonly collapse: CollapseKeys;
  /** The Message, its field names in snake_case. Absent when the server keeps no bodies. */
  readonly message?: Record<string, unknown>;
}

/** What makes a repeat replace the first one, per platform. */
export interface CollapseKeys {
  readonly collapseKey?: string;
  readonly androidTag?: string;
  readonly apnsCollapseId?: string;
  readonly webpushTopic?: string;
  readonly webpushTag?: string;
}

export interface Counts {
  /** Requests to messages:send, whatever became of them. */
  readonly requests: number;
  readonly accepted: number;
  /** With validate_only: neither accepted nor recorded. */
  readonly validated: number;
  /** By the answer's HTTP status; `cut` when none was sent. */
  readonly byStatus: Readonly<Record<string, number>>;
  /** Requests in hand: now, and at most. */
  readonly concurrent: { readonly now: number; readonly peak: number };
  readonly connections: {
    readonly opened: number;
    readonly open: number;
    /** messages:send requests on each of the last 1,000 connections, oldest first. */
    readonly requests: readonly number[];
  };
  /** Access tokens that the token endpoint gave out, and assertions that it refused. */
  readonly grants: { readonly given: number; readonly refused: number };
  readonly records: { readonly kept: number; readonly dropped: number };
}

/** The first line on standard output. */
export interface Ready {
  /** Speaks FCM HTTP v1, and OAuth at /token: `http://127.0.0.1:port`. */
  readonly url: string;
  readonly controlUrl: string;
  readonly projectId: string;
  /** As Google's console gives it out, with a key that was made at the start; token_uri points to this server. */
  readonly serviceAccount: ServiceAccount;
}

export interface ServiceAccount {
  readonly type: 'service_account';
  readonly project_id: string;
  readonly private_key_id: string;
  readonly private_key: string;
  readonly client_email: string;
  readonly client_id: string;
  readonly token_uri: string;
}

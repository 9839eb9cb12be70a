import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientRequest, IncomingMessage } from 'node:http';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { applicationDefault, cert, deleteApp, initializeApp, type App, type Credential } from 'firebase-admin/app';
import { getMessaging, type Message, type Messaging } from 'firebase-admin/messaging';

/*
 * The home of firebase-admin. `send` of that package goes over HTTP/1.1 with the app's agent, one request a message, which a
 * keep-alive agent makes cheap; `sendEach` would open a session a call.
 */

/**
 * What a failure asks for.
 * - dead: the token is of no use any more.
 * - rejected: this message will never be taken.
 * - throttled: everybody is to slow down.
 * - credentials: FCM does not accept us, or not for this token.
 * - unavailable: FCM is away.
 * - transient: it may work the next time.
 */
export type FcmFailure = 'dead' | 'rejected' | 'throttled' | 'credentials' | 'unavailable' | 'transient';

/** firebase-admin's codes, without `messaging/`. Those that are not here are `transient`. */
const FAILURES: Readonly<Record<string, FcmFailure>> = {
  'messaging/registration-token-not-registered': 'dead',
  // Ambiguous: the token or the payload. A token is never removed for it.
  'messaging/invalid-argument': 'rejected',
  'messaging/invalid-registration-token': 'rejected',
  'messaging/invalid-recipient': 'rejected',
  'messaging/invalid-payload': 'rejected',
  'messaging/invalid-data-payload-key': 'rejected',
  'messaging/invalid-options': 'rejected',
  'messaging/invalid-package-name': 'rejected',
  'messaging/payload-size-limit-exceeded': 'rejected',
  'messaging/message-rate-exceeded': 'throttled',
  'messaging/device-message-rate-exceeded': 'throttled',
  'messaging/mismatched-credential': 'credentials',
  'messaging/third-party-auth-error': 'credentials',
  'messaging/authentication-error': 'credentials',
  'app/invalid-credential': 'credentials',
  'messaging/server-unavailable': 'unavailable',
  'app/network-error': 'unavailable',
  'app/network-timeout': 'unavailable',
};

/** A message that FCM did not accept, or of which we do not know. */
export class FcmError extends Error {
  constructor(
    readonly failure: FcmFailure,
    readonly code: string,
    message: string,
    cause: unknown,
  ) {
    super(message, { cause });
    this.name = 'FcmError';
  }

  /** Whether it says something of FCM, or of us, rather than of this message. */
  get isOutage(): boolean {
    return this.failure === 'credentials' || this.failure === 'unavailable' || this.failure === 'transient';
  }
}

export interface FcmOptions {
  /** `application-default`, or a service account's file. */
  readonly credentials: string;
  /** Empty: that of the credentials. */
  readonly projectId: string;
  /** Google's address, or that of a stand-in, which then gives out access tokens too. */
  readonly url: string;
  readonly connections: number;
  /** Told of every Retry-After, in milliseconds. */
  readonly onRetryAfter: (ms: number) => void;
}

/** Sends messages to FCM over connections that are kept. */
export class Fcm {
  readonly #app: App;
  readonly #messaging: Messaging;
  readonly #agent: FcmAgent;
  readonly #onResponse: (message: unknown) => void;

  /** @throws Error if the credentials cannot be read */
  constructor({ credentials, projectId, url, connections, onRetryAfter }: FcmOptions) {
    this.host = new URL(url).host;
    this.#agent = new FcmAgent(url === GOOGLE ? undefined : new URL(url), connections);
    const project = projectId === '' ? {} : { projectId };
    const credential = readCredential(credentials, this.#agent);
    this.#app = initializeApp({ credential, ...project, httpAgent: this.#agent }, `push-${(Fcm.#count += 1)}`);
    this.#messaging = getMessaging(this.#app);
    withoutRetries(this.#messaging);
    // firebase-admin 13 keeps the header to itself.
    this.#onResponse = (message) => {
      const { request, response } = message as { request: ClientRequest; response: IncomingMessage };
      if ((request as { agent?: unknown }).agent !== this.#agent) return;
      const ms = retryAfterMs(response.headers['retry-after']);
      if (ms !== undefined) onRetryAfter(ms);
    };
    subscribe(RESPONSES, this.#onResponse);
  }

  /** Where it sends to. */
  readonly host: string;

  static #count = 0;

  /** @returns FCM's name for the message @throws FcmError */
  async send(message: Message): Promise<string> {
    try {
      return await this.#messaging.send(message);
    } catch (error) {
      const { code = '', message: text } = error as { code?: string; message: string };
      throw new FcmError(FAILURES[code] ?? 'transient', code, text, error);
    }
  }

  async close(): Promise<void> {
    unsubscribe(RESPONSES, this.#onResponse);
    await deleteApp(this.#app);
    this.#agent.destroy();
  }
}

const GOOGLE = 'https://fcm.googleapis.com';
const RESPONSES = 'http.client.response.finish';
const RETRY_AFTER_MAX_MS = 10 * 60_000;

/** Seconds, or a date. */
function retryAfterMs(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), RETRY_AFTER_MAX_MS) : undefined;
}

function readCredential(credentials: string, agent: https.Agent): Credential {
  return credentials === 'application-default' ? applicationDefault(agent) : cert(credentials, agent);
}

/**
 * It would repeat a 503 up to four times by itself, holding one of our places while nobody else hears of it; we slow all of
 * them down instead. Where a later version has renamed its parts, it goes on repeating.
 */
function withoutRetries(messaging: Messaging): void {
  const parts = messaging as unknown as { messagingRequestHandler?: { httpClient?: { retry?: unknown } } };
  const client = parts.messagingRequestHandler?.httpClient;
  if (client !== undefined) delete client.retry;
}

/** Kept-alive connections: to whom firebase-admin wants, which is Google alone, or all of them to a stand-in. */
class FcmAgent extends https.Agent {
  constructor(
    private readonly standIn: URL | undefined,
    connections: number,
  ) {
    super({ keepAlive: true, maxSockets: connections, maxFreeSockets: connections });
  }

  override createConnection(
    ...args: Parameters<https.Agent['createConnection']>
  ): ReturnType<https.Agent['createConnection']> {
    if (this.standIn === undefined) return super.createConnection(...args);
    const { hostname, port, protocol } = this.standIn;
    if (protocol === 'http:') return net.connect({ host: hostname, port: Number(port || 80), noDelay: true });
    return tls.connect({
      host: hostname,
      port: Number(port || 443),
      servername: hostname,
      ALPNProtocols: ['http/1.1'],
    });
  }
}

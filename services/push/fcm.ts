import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { type App, applicationDefault, cert, type Credential, deleteApp, initializeApp } from 'firebase-admin/app';
import { getMessaging, type Message, type Messaging } from 'firebase-admin/messaging';
import { withTimeout } from '../lib/retry.js';
import { readSecretFile } from '../lib/secret-file.js';
import { wallClock } from '../lib/wall-clock.js';
import { PUSH_WAIT_MAX_MS } from '../store/pushes.js';

export type { Aps, Message } from 'firebase-admin/messaging';

/*
 * The home of firebase-admin. `send` of that package goes over HTTP/1.1 with the app's agent, one request a message,
 * which a keep-alive agent makes cheap; `sendEach` would open a session a call.
 */

/**
 * What a failure asks for.
 * - dead: the token is of no use any more.
 * - rejected: this message will never be taken; a smallest one to the same token is.
 * - token: the token is refused whatever the message; the device is to wait.
 * - throttled, unavailable: it was not taken; the device is to wait, or everybody.
 * - credentials: FCM does not accept us, or not for this token.
 * - unheard: no answer came; it may have been taken.
 * - transient: it may work the next time; it may have been taken.
 */
export const FCM_FAILURES = [
  'dead',
  'rejected',
  'token',
  'throttled',
  'unavailable',
  'credentials',
  'unheard',
  'transient',
] as const;
export type FcmFailure = (typeof FCM_FAILURES)[number];

/** firebase-admin's codes. Those that are not here are `transient`. */
const FAILURES: Readonly<Record<string, FcmFailure>> = {
  'messaging/registration-token-not-registered': 'dead',
  // Ambiguous: the token or the payload. FCM is asked which.
  'messaging/invalid-argument': 'rejected',
  'messaging/invalid-registration-token': 'rejected',
  'messaging/invalid-recipient': 'rejected',
  'messaging/invalid-payload': 'rejected',
  'messaging/invalid-data-payload-key': 'rejected',
  'messaging/invalid-options': 'rejected',
  'messaging/payload-size-limit-exceeded': 'rejected',
  'messaging/message-rate-exceeded': 'throttled',
  'messaging/server-unavailable': 'unavailable',
  'messaging/mismatched-credential': 'credentials',
  'messaging/third-party-auth-error': 'credentials',
  'messaging/authentication-error': 'credentials',
  'app/invalid-credential': 'credentials',
  'app/network-error': 'unheard',
  'app/network-timeout': 'unheard',
};

/** A message that FCM did not accept, or of which we do not know. Its text never has the whole token. */
export class FcmError extends Error {
  /** Whether it says something of the device alone: others are served. */
  ofDevice = false;

  constructor(
    readonly failure: FcmFailure,
    readonly code: string,
    message: string,
    /** By FCM's Retry-After. */
    readonly retryAfterMs?: number,
  ) {
    super(message);
    this.name = 'FcmError';
  }

  /** Whether it says something of FCM, or of us, rather than of this message. */
  get isOutage(): boolean {
    return !this.ofDevice && !['dead', 'rejected', 'token', 'throttled'].includes(this.failure);
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
}

/** Sends messages to FCM over connections that are kept. */
export class Fcm {
  static #count = 0;
  /** Where it sends to. */
  readonly host: string;
  readonly #agent: FcmAgent;
  #app: App;
  #messaging: Messaging;
  #renewAfter = 0;

  /** @throws Error if the credentials cannot be read */
  constructor(private readonly options: FcmOptions) {
    const { url, connections } = options;
    this.host = new URL(url).host;
    this.#agent = new FcmAgent(url === GOOGLE ? undefined : new URL(url), connections);
    [this.#app, this.#messaging] = this.#open();
  }

  #open(): [App, Messaging] {
    const { credentials, projectId } = this.options;
    const project = projectId === '' ? {} : { projectId };
    const credential = readCredential(credentials, this.#agent);
    const app = initializeApp({ credential, ...project, httpAgent: this.#agent }, `push-${(Fcm.#count += 1)}`);
    const messaging = getMessaging(app);
    tune(messaging);
    return [app, messaging];
  }

  /** @returns FCM's name for the message @throws FcmError */
  async send(message: Message): Promise<string> {
    const token = 'token' in message ? message.token : '';
    try {
      const name: unknown = await withTimeout(this.#ask(message, token), DEADLINE_MS, 'FCM');
      return typeof name === 'string' ? clean(name, token) : '';
    } catch (error) {
      const failure = toFcmError(error as Error & { code?: string }, token);
      if (failure.failure === 'credentials') this.#renew();
      throw failure;
    }
  }

  /** @throws what the message was refused for, or the token if FCM refuses a smallest message to it as well */
  async #ask(message: Message, token: string): Promise<string> {
    try {
      return await this.#messaging.send(message);
    } catch (error) {
      if (toFcmError(error as Error, token).failure !== 'rejected') throw error;
      await this.#validate(token);
      throw error;
    }
  }

  /**
   * Asks about a token with a message that cannot be wrong and is delivered to nobody: by FCM's documentation
   * INVALID_ARGUMENT says that a token is invalid only if the payload is valid.
   */
  async #validate(token: string): Promise<void> {
    try {
      await this.#messaging.send({ token, data: { type: 'validate' } }, true);
    } catch (error) {
      const failure = toFcmError(error as Error, token);
      throw failure.failure === 'rejected' ? new FcmError('token', failure.code, failure.message) : failure;
    }
  }

  /**
   * firebase-admin keeps an access token until it ends, also one that is refused. Reads the credentials anew, which may
   * have been replaced; not more often than they may be.
   */
  #renew(): void {
    const now = performance.now();
    if (now < this.#renewAfter) return;
    this.#renewAfter = now + RENEWAL_PAUSE_MS;
    const old = this.#app;
    try {
      [this.#app, this.#messaging] = this.#open();
    } catch {
      // Somebody is at the file; with the old ones FCM goes on refusing, which is seen.
      return;
    }
    void deleteApp(old);
  }

  /** Cuts what is on its way. */
  async close(): Promise<void> {
    this.#agent.destroy();
    await deleteApp(this.#app);
  }
}

const GOOGLE = 'https://fcm.googleapis.com';
/**
 * Of all that is done for a message, also getting an access token. For an answer alone firebase-admin gives FCM 15 s.
 */
const DEADLINE_MS = 20_000;
const RENEWAL_PAUSE_MS = 5000;
const TEXT_MAX = 500;

function toFcmError(error: Error & { code?: string }, token: string): FcmError {
  if (error instanceof FcmError) return error;
  const { code = '', message } = error;
  const text = clean(message, token);
  // No code: it took too long, or the answer made no sense.
  if (code === '') return new FcmError('unheard', 'no-answer', text);
  if (/project ID/i.test(message)) return new FcmError('credentials', code, text);
  return new FcmError(FAILURES[code] ?? 'transient', code, text);
}

/** What others say, fit for logs and the database: without the token, bounded, and without control characters. */
function clean(text: string, token: string): string {
  const hidden = token === '' ? text : text.replaceAll(token, `…${token.slice(-6)}`);

  return hidden.replace(/[\u0000-\u001f\u007f]+/g, ' ').slice(0, TEXT_MAX);
}

/** Seconds, or a date. */
function retryAfterMs(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - wallClock();
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), PUSH_WAIT_MAX_MS) : undefined;
}

/** Reads the credentials anew. @throws Error that names FCM_CREDENTIALS, and shows nothing of the file */
export function readCredential(credentials: string, agent?: https.Agent): Credential {
  if (credentials === 'application-default') return applicationDefault(agent);
  try {
    // Its own complaint about a file that is not JSON quotes the beginning, which may be the key.
    JSON.parse(readSecretFile(credentials));
    // firebase-admin keeps for ever what it has made of a file, with the access token and the agent.
    return Object.assign(cert(credentials, agent), { googleAuth: undefined, authClient: undefined, httpAgent: agent });
  } catch (error) {
    const reason = error instanceof SyntaxError ? 'it is not JSON' : (error as Error).message;
    throw new Error(`FCM_CREDENTIALS must name the file of a Google service account: ${reason}`);
  }
}

interface Refusal {
  readonly response?: {
    readonly status: number;
    readonly headers: Record<string, string | undefined>;
    readonly text: string;
  };
}

interface HttpClient {
  retry?: unknown;
  send(request: unknown): Promise<unknown>;
}

/**
 * What firebase-admin 13 keeps to itself, and we have to do otherwise; where a later version has renamed its parts,
 * tests fail.
 * - It would repeat a 503 up to four times by itself, holding one of our places while nobody else hears of it.
 * - It does not pass on Retry-After.
 * - It calls every 404 a dead token, and every 400 a wrong message: also those of a proxy, or of a wrong project.
 */
function tune(messaging: Messaging): void {
  const parts = messaging as unknown as { messagingRequestHandler?: { httpClient?: HttpClient } };
  const client = parts.messagingRequestHandler?.httpClient;
  if (client === undefined) return;
  delete client.retry;
  const send = client.send.bind(client);
  client.send = async (request) => {
    try {
      return await send(request);
    } catch (error) {
      const { response } = error as Refusal;
      if (response === undefined) throw error;
      throw throttled(response) ?? misjudged(response) ?? error;
    }
  };
}

function throttled({ status, headers, text }: NonNullable<Refusal['response']>): FcmError | undefined {
  const answer = `HTTP ${status}: ${clean(text, '')}`;
  const wait = retryAfterMs(headers['retry-after']);
  if (status === 429) return new FcmError('throttled', 'messaging/message-rate-exceeded', answer, wait);
  if (status === 503) return new FcmError('unavailable', 'messaging/server-unavailable', answer, wait);
  return undefined;
}

function misjudged({ status, text }: NonNullable<Refusal['response']>): FcmError | undefined {
  const answer = `HTTP ${status}: ${clean(text, '')}`;
  if (status === 404 && !text.includes('UNREGISTERED')) return new FcmError('credentials', 'not-found', answer);
  if (status === 400 && !text.includes('INVALID_ARGUMENT')) return new FcmError('transient', 'bad-request', answer);
  return undefined;
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

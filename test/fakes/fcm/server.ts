// Stands in for Google's FCM: HTTP v1's messages:send and the OAuth token endpoint on one port, the control API on
// another.
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Random } from '../../support/random.js';
import { Access, makeServiceAccount } from './access.js';
import { Behaviour, type Connection } from './behaviour.js';
import { handleControl } from './control.js';
import type { Ready, TokenState } from './control-types.js';
import { type Answer, badRequest, fcmError, invalidArgument, jsonAnswer } from './google-errors.js';
import { Ledger } from './ledger.js';
import { type Fields, isObject, readRequest, section } from './message-form.js';
import { brokenRule } from './message-rules.js';
import { statusHeard, transmit } from './transmit.js';

export interface ServerOptions {
  readonly port: number;
  readonly controlPort: number;
  readonly projectId: string;
  /** Of the shares of rules. */
  readonly seed: number;
  /** Of all answers of messages:send. */
  readonly latencyMs: number;
  /** How many messages are remembered; 0: counts only. */
  readonly records: number;
  /** Whether the messages are remembered with their content. */
  readonly bodies: boolean;
  /** How long an access token holds. */
  readonly tokenLifetimeS: number;
}

const SEND = /^\/v1\/projects\/([^/?]+)\/messages:send$/;
/** A token of a form that Google might have given out. */
const PLAUSIBLE_TOKEN = /^[A-Za-z0-9_:-]{20,4096}$/;
const BAD_TOKEN = 'The registration token is not a valid FCM registration token';
const BODY_BYTES = 10_485_760;
/** As long as Google keeps them, within a factor of two: tests must not depend on it. */
const IDLE_MS = 240_000;

/** What became of a request. */
interface Outcome {
  readonly answer: Answer;
  /** Of an accepted message. */
  readonly name?: string;
  readonly message: Fields;
}

export class FcmServer {
  readonly ready: Ready;
  readonly ledger: Ledger;
  readonly behaviour: Behaviour;
  /** Tokens that are not simply known. */
  readonly tokens = new Map<string, TokenState>();

  static async start(options: ServerOptions): Promise<FcmServer> {
    const [api, control] = [createServer(), createServer()];
    const url = await listen(api, options.port);
    const controlUrl = await listen(control, options.controlPort);
    const serviceAccount = await makeServiceAccount(options.projectId, `${url}/token`);
    const access = new Access(serviceAccount, options.tokenLifetimeS);
    return new FcmServer(options, [api, control], access, { url, controlUrl });
  }

  private constructor(
    private readonly options: ServerOptions,
    [api, control]: [Server, Server],
    readonly access: Access,
    urls: { url: string; controlUrl: string },
  ) {
    this.ready = { ...urls, projectId: options.projectId, serviceAccount: access.serviceAccount };
    this.ledger = new Ledger(options.records, options.bodies);
    this.behaviour = new Behaviour(new Random(options.seed));
    api.keepAliveTimeout = IDLE_MS;
    // A test's process may be busy for longer than any time-out, and would write into a connection that is closed.
    control.keepAliveTimeout = 0;
    api.on('connection', (socket: Socket) => this.ledger.opened(socket));
    api.on('request', (request, response) => void this.#route(request, response).catch(() => response.destroy()));
    control.on('request', (request, response) => void handleControl(this, request, response));
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const project = SEND.exec(request.url ?? '')?.[1];
    if (request.method === 'POST' && project !== undefined) return this.#send(project, request, response);
    const body = await readBody(request);
    if (request.method === 'POST' && request.url === '/token') {
      return transmit(response, this.access.grant(new URLSearchParams(body?.toString())));
    }
    transmit(response, { status: 404, headers: { 'content-type': 'text/html' }, body: '<title>Error 404</title>' });
  }

  async #send(project: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const connection = this.ledger.begins(request.socket);
    response.once('close', () => this.ledger.ends());
    const json = parse(await readBody(request));
    const token = tokenOf(json);
    const { delayMs, rule } = this.behaviour.decide({ token, validateOnly: isValidateOnly(json) }, connection);
    const outcome =
      rule?.error !== undefined
        ? { answer: fcmError(rule.error, undefined, rule.retryAfter), message: messageOf(json) }
        : this.#judge(project, request, json);
    const status = statusHeard(outcome.answer, rule);
    const lost = rule?.cut === 'before' || (rule?.malformed !== undefined && status >= 400);
    this.#record(token, connection, lost ? { answer: outcome.answer, message: outcome.message } : outcome, status);
    const waitMs = this.options.latencyMs + delayMs;
    if (waitMs > 0) setTimeout(() => transmit(response, outcome.answer, rule), waitMs);
    else transmit(response, outcome.answer, rule);
  }

  #judge(project: string, request: IncomingMessage, json: unknown): Outcome {
    const refused = (answer: Answer, message: Fields = {}) => ({ answer, message });
    const denial = this.access.denial(request.headers.authorization);
    if (denial !== undefined) return refused(denial);
    if (project !== this.options.projectId) {
      const resource = `//cloudresourcemanager.googleapis.com/projects/${project}`;
      const message = `Permission 'cloudmessaging.messages.create' denied on resource '${resource}' (or it may not exist).`;
      return refused(fcmError('PERMISSION_DENIED', message));
    }
    if (json === TOO_LARGE) {
      return refused(badRequest([{ description: `Request payload size exceeds the limit: ${BODY_BYTES} bytes.` }]));
    }
    if (!isObject(json)) {
      return refused(badRequest([{ description: 'Invalid JSON payload received. Unexpected token.' }]));
    }
    const { request: read, violations } = readRequest(json);
    const message = section(read, 'message');
    if (violations.length > 0) return refused(badRequest(violations), message);
    const violation = brokenRule(message);
    if (violation !== undefined) return refused(invalidArgument(violation), message);
    const tokenError = this.#tokenError(message['token']);
    if (tokenError !== undefined) return refused(tokenError, message);
    return this.#accept(message, read['validate_only'] === true);
  }

  #tokenError(token: unknown): Answer | undefined {
    if (typeof token !== 'string') return undefined;
    if (!PLAUSIBLE_TOKEN.test(token)) return fcmError('INVALID_ARGUMENT', BAD_TOKEN);
    const state = this.tokens.get(token) ?? 'known';
    if (state === 'dead') return fcmError('UNREGISTERED');
    return state === 'other-sender' ? fcmError('SENDER_ID_MISMATCH') : undefined;
  }

  #accept(message: Fields, validateOnly: boolean): Outcome {
    const id = validateOnly ? 'fake_message_id' : `0:${Date.now() * 1000}%${randomBytes(8).toString('hex')}`;
    const name = `projects/${this.options.projectId}/messages/${id}`;
    if (validateOnly) this.ledger.validated();
    return { answer: jsonAnswer(200, { name }), message, ...(!validateOnly && { name }) };
  }

  #record(token: string | undefined, connection: Connection, { name, message }: Outcome, status: number): void {
    this.ledger.answered(status);
    const target = token ?? [message['topic'], message['condition']].find((value) => typeof value === 'string') ?? '';
    const accepted = name !== undefined;
    this.ledger.record(
      { token: target, accepted, status, connection: connection.id, ...(accepted && { name }) },
      message,
    );
  }
}

async function listen(server: Server, port: number): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', resolve);
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const TOO_LARGE = Symbol('a body above the limit');

/** The whole body, or undefined when it is too large. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= BODY_BYTES) chunks.push(chunk);
  }
  return size <= BODY_BYTES ? Buffer.concat(chunks) : undefined;
}

function parse(body: Buffer | undefined): unknown {
  if (body === undefined) return TOO_LARGE;
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return undefined;
  }
}

/** The message of a request that is not judged. */
function messageOf(json: unknown): Fields {
  return section(readRequest(json).request, 'message');
}

/** Looked at for every request, so without reading its message. */
function isValidateOnly(json: unknown): boolean {
  return isObject(json) && (json['validate_only'] === true || json['validateOnly'] === true);
}

function tokenOf(json: unknown): string | undefined {
  const token = isObject(json) ? section(json, 'message')['token'] : undefined;
  return typeof token === 'string' ? token : undefined;
}

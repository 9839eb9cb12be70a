// Callers of alert-api that share it: many that send little, and one that sends much.
import { randomBytes } from 'node:crypto';
import grpc from '@grpc/grpc-js';
import { api } from '../../../services/api/protos.js';
import { wait } from '../../../services/lib/retry.js';
import { paced } from '../frame/pacing.js';
import { serve } from '../frame/worker.js';
import { batchRequest, createRequest } from './wire.js';

const { CreateAlert, BatchCreateAlerts } = api.AlertService.service;
const CALL_TIMEOUT_MS = 30_000;
/** Rude, and no busy loop: what a client waits that does not read RetryInfo. */
const AFTER_REFUSAL_MS = 100;
const NAMES = 10_000;
const ITEMS = 500;
const FORGED_AT_ONCE = 1000;

const asIs = (bytes: Buffer) => bytes;

function connect(address: string): grpc.Client {
  return new grpc.Client(address, grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.service_config_disable_resolution': 1,
  });
}

/** @returns whether it was answered with OK */
function call(client: grpc.Client, path: string, request: Buffer, caller: string, token?: string): Promise<boolean> {
  const metadata = new grpc.Metadata();
  if (token === undefined) metadata.set('x-caller', caller);
  else metadata.set('authorization', `Bearer ${token}`);
  return new Promise((resolve) => {
    const options = { deadline: performance.timeOrigin + performance.now() + CALL_TIMEOUT_MS };
    client.makeUnaryRequest(path, asIs, asIs, request, metadata, options, (error) => resolve(error === null));
  });
}

export interface ManyResult {
  /** Milliseconds from the call to its answer. */
  readonly latencies: number[];
  readonly failed: number;
}

/** So many callers, each at its rate, over one connection each way that clients have. */
async function many(options: {
  address: string;
  callers: number;
  rateEach: number;
  seconds: number;
  userId: string;
  /** Where names are not believed. */
  token?: string;
}): Promise<ManyResult> {
  const { address, callers, rateEach, seconds, userId, token } = options;
  const clients = Array.from({ length: callers }, () => connect(address));
  const latencies: number[] = [];
  let failed = 0;
  const calls: Promise<void>[] = [];
  const send = async (index: number) => {
    const started = performance.now();
    const which = index % callers;
    if (await call(clients[which]!, CreateAlert.path, createRequest('', { userId }), `small-${which}`, token))
      latencies.push(performance.now() - started);
    else failed += 1;
  };
  await paced(rateEach * callers, rateEach * callers * seconds, (index) => calls.push(send(index)));
  await Promise.all(calls);
  for (const client of clients) client.close();
  return { latencies, failed };
}

/** What the greedy one sends. */
export type Greed =
  /** CreateAlert, so many a second. */
  | { readonly kind: 'rate'; readonly rate: number }
  /** CreateAlert with 10,000 names that nobody has, 60 at a time. */
  | { readonly kind: 'names' }
  /** CreateAlert with tokens of a wrong signature, each another, so many a second over so many connections. */
  | { readonly kind: 'forged'; readonly rate: number; readonly connections: number; readonly token: string }
  /** Batches of 500 that name somebody who has left, 14 at a time. */
  | { readonly kind: 'left' };

class GreedyCaller {
  readonly #clients: readonly grpc.Client[];
  readonly #done: Promise<unknown>;
  #stopping = false;
  #sent = 0;
  #running = 0;
  answered = 0;
  refused = 0;

  constructor(address: string, greed: Greed, userId: string, leftId: string) {
    this.#clients = Array.from({ length: greed.kind === 'forged' ? greed.connections : 1 }, () => connect(address));
    if (greed.kind === 'forged') this.#done = this.#forge(greed.rate, greed.token, createRequest('', { userId }));
    else if (greed.kind === 'rate') this.#done = this.#atRate(greed.rate, createRequest('', { userId }));
    else if (greed.kind === 'names') {
      const userIds = Array.from({ length: NAMES }, (_, index) => `nobody-${index}`);
      this.#done = this.#loops(60, CreateAlert.path, createRequest('', { userIds }));
    } else {
      const items = Array.from({ length: ITEMS }, () => createRequest('', { userId: leftId }));
      this.#done = this.#loops(14, BatchCreateAlerts.path, batchRequest(items));
    }
  }

  async #send(path: string, request: Buffer, token?: string): Promise<boolean> {
    this.#sent += 1;
    const client = this.#clients[this.#sent % this.#clients.length]!;
    this.#running += 1;
    const ok = await call(client, path, request, 'greedy', token);
    this.#running -= 1;
    if (ok) this.answered += 1;
    else this.refused += 1;
    return ok;
  }

  async #atRate(rate: number, request: Buffer): Promise<void> {
    while (!this.#stopping) await paced(rate, rate / 10, () => void this.#send(CreateAlert.path, request));
  }

  async #forge(rate: number, token: string, request: Buffer): Promise<void> {
    const signed = token.slice(0, token.lastIndexOf('.'));
    const forged = () => `${signed}.${randomBytes(64).toString('base64url')}`;
    // What the machine cannot send is left out: calls that pile up here would be a load on nobody but ourselves.
    const send = () => this.#running < FORGED_AT_ONCE && void this.#send(CreateAlert.path, request, forged());
    while (!this.#stopping) await paced(rate, rate / 10, send);
  }

  async #loops(concurrency: number, path: string, request: Buffer): Promise<void> {
    const loop = async () => {
      while (!this.#stopping) if (!(await this.#send(path, request))) await wait(AFTER_REFUSAL_MS);
    };
    await Promise.all(Array.from({ length: concurrency }, loop));
  }

  async stop(): Promise<{ answered: number; refused: number }> {
    this.#stopping = true;
    await this.#done;
    for (const client of this.#clients) client.close();
    return { answered: this.answered, refused: this.refused };
  }
}

let greedy: GreedyCaller | undefined;

const commands = {
  many,
  startGreedy: (options: { address: string; greed: Greed; userId: string; leftId: string }): void => {
    greedy = new GreedyCaller(options.address, options.greed, options.userId, options.leftId);
  },
  stopGreedy: (_: undefined) => greedy!.stop(),
};
export type CallersCommands = typeof commands;

serve(commands);

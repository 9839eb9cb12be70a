// The load: one process that calls alert-api and holds the streams.
import { promisify } from 'node:util';
import grpc from '@grpc/grpc-js';
import { api } from '../../../services/api/protos.js';
import { paced } from '../frame/pacing.js';
import { percentile } from '../frame/statistics.js';
import { serve } from '../frame/worker.js';
import { batchRequest, countChanges, countStored, createRequest, sourceIds } from './wire.js';

const { CreateAlert, BatchCreateAlerts } = api.AlertService.service;
const { StreamAlerts } = api.AlertStreamService.service;
const { MarkAllRead } = api.InboxService.service;

const STREAM_CHANNELS = 4;
/** Streams that are opened at the same time. */
const OPENING = 50;
const CALL_TIMEOUT_MS = 30_000;

function connect(address: string): grpc.Client {
  return new grpc.Client(address, credentials, {
    // Otherwise all channels to one address share a connection.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_channelz': 0,
    'grpc.service_config_disable_resolution': 1,
  });
}

/** By name; where names are not believed by the token of that name. */
function metadata(key: string, value: string): grpc.Metadata {
  const result = new grpc.Metadata();
  if (tokens === undefined) result.set(key, value);
  else result.set('authorization', `Bearer ${tokens[value]}`);
  return result;
}

let credentials = grpc.credentials.createInsecure();
let tokens: Readonly<Record<string, string>> | undefined;
let asCaller = metadata('x-caller', 'bench');

/** From now on: what is encrypted, and tokens by the names of those whom they speak for. */
function secure(options: { authority?: string; tokens: Readonly<Record<string, string>> }): void {
  if (options.authority !== undefined) credentials = grpc.credentials.createSsl(Buffer.from(options.authority));
  tokens = options.tokens;
  asCaller = metadata('x-caller', 'bench');
}

const asIs = (bytes: Buffer) => bytes;

function call(client: grpc.Client, path: string, request: Buffer, as = asCaller): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + CALL_TIMEOUT_MS };
    client.makeUnaryRequest(path, asIs, asIs, request, as, options, (error, response) =>
      error === null ? resolve(response!) : reject(error),
    );
  });
}

/** Different in every process, so that no request id is used twice. */
const RUN = `${process.pid}-${Date.now().toString(36)}`;
let numbered = 0;
function nextRequestId(): string {
  numbered += 1;
  return `${RUN}-${numbered}`;
}

// -------------------------------------------------------------------------------------------------- a closed loop

export interface LoopResult {
  readonly callsPerSecond: number;
  readonly p50: number;
  readonly p99: number;
}

/** CreateAlert, always `concurrency` at a time. Any error ends it. */
async function closedLoop(options: { address: string; concurrency: number; seconds: number }): Promise<LoopResult> {
  const client = connect(options.address);
  const latencies: number[] = [];
  const started = performance.now();
  const until = started + options.seconds * 1000;
  const caller = async () => {
    for (let now = performance.now(); now < until;) {
      await call(client, CreateAlert.path, createRequest(nextRequestId()));
      const done = performance.now();
      latencies.push(done - now);
      now = done;
    }
  };
  try {
    await Promise.all(Array.from({ length: options.concurrency }, caller));
    const seconds = (performance.now() - started) / 1000;
    return {
      callsPerSecond: latencies.length / seconds,
      p50: percentile(latencies, 0.5),
      p99: percentile(latencies, 0.99),
    };
  } finally {
    client.close();
  }
}

// --------------------------------------------------------------------------------------------------------- streams

let users: readonly string[] = [];
/** Changes that came over the streams. */
let received = 0;
let streamErrors = 0;
let lastError = '';
/** What is done with a response besides counting. */
let onChanges: (count: number) => void = () => undefined;
let onResponse: ((response: Buffer) => void) | undefined;

function readResponse(response: Buffer): number {
  const count = countChanges(response);
  received += count;
  if (count > 0) {
    onResponse?.(response);
    onChanges(count);
  }
  return count;
}

function openStream(client: grpc.Client, userId: string): Promise<void> {
  const request = Buffer.from(StreamAlerts.requestSerialize({ start: 'STREAM_START_NOW' }));
  return new Promise((resolve, reject) => {
    const stream = client.makeServerStreamRequest(
      StreamAlerts.path,
      asIs,
      readResponse,
      request,
      metadata('x-user-id', userId),
    );
    // The first response is the checkpoint that says that the stream is live.
    stream.on('data', resolve);
    stream.on('error', (error: Error) => {
      streamErrors += 1;
      lastError = `stream of ${userId}: ${error.message}`;
      reject(error);
    });
  });
}

/** Opens a stream for each user; resolves when all are live. */
async function openStreams(options: { address: string; users: string[] }): Promise<void> {
  users = options.users;
  const channels = Array.from({ length: STREAM_CHANNELS }, () => connect(options.address));
  for (let from = 0; from < users.length; from += OPENING) {
    const some = users.slice(from, from + OPENING);
    await Promise.all(some.map((user, index) => openStream(channels[(from + index) % STREAM_CHANNELS]!, user)));
  }
}

// ------------------------------------------------------------------------------------- back to back, within a window

export interface PumpOptions {
  readonly address: string;
  /** To all users, by the routing rules; or each to one, by name. */
  readonly to: 'all' | 'one';
  /** Alerts of one call: 1 is CreateAlert, more are BatchCreateAlerts. */
  readonly perCall: number;
  readonly concurrency: number;
  /** Alerts that may be on their way: enough that every process always has work, few enough that none drowns. */
  readonly window: number;
}

export interface PumpState {
  readonly created: number;
  readonly received: number;
  readonly failed: number;
  readonly streamErrors: number;
  readonly lastError: string;
}

class Pump {
  readonly #client: grpc.Client;
  readonly #perAlert: number;
  readonly #receivedBefore = received;
  #calls = 0;
  #started = 0;
  #created = 0;
  #failed = 0;
  #stopping = false;
  #scheduled = false;
  #user = 0;

  constructor(private readonly options: PumpOptions) {
    this.#client = connect(options.address);
    this.#perAlert = options.to === 'all' ? users.length : 1;
    onChanges = () => this.#fillSoon();
    this.#fill();
  }

  get #arrived(): number {
    return (received - this.#receivedBefore) / this.#perAlert;
  }

  #fillSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#fill());
  }

  #fill(): void {
    this.#scheduled = false;
    const { concurrency, window, perCall } = this.options;
    while (!this.#stopping && this.#calls < concurrency && this.#started + perCall - this.#arrived <= window) {
      this.#started += perCall;
      this.#calls += 1;
      void this.#send();
    }
  }

  async #send(): Promise<void> {
    const { perCall } = this.options;
    try {
      const requests = Array.from({ length: perCall }, () => createRequest(nextRequestId(), this.#recipient()));
      const created =
        perCall === 1
          ? (await call(this.#client, CreateAlert.path, requests[0]!), 1)
          : countStored(await call(this.#client, BatchCreateAlerts.path, batchRequest(requests)));
      this.#created += created;
      this.#failed += perCall - created;
    } catch (error) {
      this.#failed += perCall;
      lastError = (error as Error).message;
    }
    this.#calls -= 1;
    this.#fill();
  }

  #recipient(): { userId?: string } {
    if (this.options.to === 'all') return {};
    // A step that shares no factor with the number of users visits all of them, neighbours far apart.
    this.#user = (this.#user + 617) % users.length;
    return { userId: users[this.#user]! };
  }

  get state(): PumpState {
    return {
      created: this.#created,
      received: received - this.#receivedBefore,
      failed: this.#failed,
      streamErrors,
      lastError,
    };
  }

  /** Ends the creating and waits until everything has arrived, at most `timeoutMs`. */
  async stop(timeoutMs: number): Promise<PumpState & { expected: number }> {
    this.#stopping = true;
    const until = Date.now() + timeoutMs;
    const pending = () => this.#calls > 0 || this.#arrived < this.#created;
    while (pending() && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
    // One that comes twice comes soon.
    await new Promise((resolve) => setTimeout(resolve, 300));
    onChanges = () => undefined;
    this.#client.close();
    return { ...this.state, expected: this.#created * this.#perAlert };
  }
}

let pump: Pump | undefined;

// ----------------------------------------------------------------------------------------------------- connections

/** Milliseconds of connections that are made at a rate, each until it can carry a call. */
async function connections(options: { address: string; rate: number; seconds: number }): Promise<number[]> {
  const latencies: number[] = [];
  const made: Promise<void>[] = [];
  const open = async () => {
    const client = connect(options.address);
    const started = performance.now();
    await promisify(client.waitForReady.bind(client))(Date.now() + CALL_TIMEOUT_MS);
    latencies.push(performance.now() - started);
    client.close();
  };
  await paced(options.rate, options.rate * options.seconds, () => made.push(open()));
  await Promise.all(made);
  return latencies;
}

/** Opens so many streams, each on a connection of its own, and leaves them open. */
async function idleStreams(options: { address: string; users: string[]; count: number }): Promise<void> {
  for (let from = 0; from < options.count; from += OPENING) {
    const some = Array.from({ length: Math.min(OPENING, options.count - from) }, (_, index) => from + index);
    await Promise.all(
      some.map((index) => openStream(connect(options.address), options.users[index % options.users.length]!)),
    );
  }
}

// ------------------------------------------------------------------------------------------------------- open loop

export interface LatencyResult {
  /** From the start of CreateAlert, in milliseconds: until its answer, and until the alert came over the stream. */
  readonly acknowledged: number[];
  readonly delivered: number[];
  readonly missing: number;
}

/** `rate` alerts a second to one user each, whether or not earlier ones have arrived. */
async function openLoop(options: { address: string; rate: number; seconds: number }): Promise<LatencyResult> {
  const client = connect(options.address);
  const starts = new Map<string, number>();
  const acknowledged: number[] = [];
  const delivered: number[] = [];
  onResponse = (response) => {
    const now = performance.now();
    for (const id of sourceIds(response)) {
      const start = starts.get(id);
      if (start === undefined) continue;
      delivered.push(now - start);
      starts.delete(id);
    }
  };
  const count = Math.round(options.rate * options.seconds);
  const calls: Promise<void>[] = [];
  await paced(options.rate, count, (index) => {
    const id = nextRequestId();
    const userId = users[(index * 617) % users.length]!;
    const start = performance.now();
    starts.set(id, start);
    const request = createRequest(id, { userId, sourceId: id });
    calls.push(call(client, CreateAlert.path, request).then(() => void acknowledged.push(performance.now() - start)));
  });
  await Promise.all(calls);
  for (let waited = 0; starts.size > 0 && waited < 10_000; waited += 20) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  onResponse = undefined;
  client.close();
  return { acknowledged, delivered, missing: starts.size };
}

// ------------------------------------------------------------------------------------- one user who is never satisfied

export interface MarkingResult {
  readonly calls: number;
  /** How many ended with which code. */
  readonly codes: Readonly<Record<string, number>>;
}

/**
 * MarkAllRead of one user in a loop, by so many callers at once; those that run when the time is over are cancelled.
 */
async function markLoop(options: {
  address: string;
  userId: string;
  callers: number;
  seconds: number;
}): Promise<MarkingResult> {
  const client = connect(options.address);
  const as = metadata('x-user-id', options.userId);
  const request = Buffer.from(MarkAllRead.requestSerialize({}));
  const codes: Record<string, number> = {};
  let calls = 0;
  let isOver = false;
  const caller = async () => {
    while (!isOver) {
      const code = await call(client, MarkAllRead.path, request, as).then(
        () => grpc.status.OK,
        (error: grpc.ServiceError) => error.code,
      );
      if (isOver) return;
      calls += 1;
      codes[grpc.status[code]] = (codes[grpc.status[code]] ?? 0) + 1;
      if (code !== grpc.status.OK) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const running = Promise.all(Array.from({ length: options.callers }, caller));
  await new Promise((resolve) => setTimeout(resolve, options.seconds * 1000));
  isOver = true;
  client.close();
  await Promise.race([running, new Promise((resolve) => setTimeout(resolve, 1000))]);
  return { calls, codes };
}

const commands = {
  markLoop,
  closedLoop,
  openStreams,
  openLoop,
  secure,
  connections,
  idleStreams,
  startPump: (options: PumpOptions): void => void (pump = new Pump(options)),
  pumpState: (_: undefined): PumpState => pump!.state,
  stopPump: ({ timeoutMs }: { timeoutMs: number }) => pump!.stop(timeoutMs),
};
export type LoadCommands = typeof commands;

serve(commands);

import grpc from '@grpc/grpc-js';
import { statusDetails } from '../../../services/lib/grpc/status.js';
import { createProbe } from './probe.js';
import type { Random } from './random.js';
import { anyRequest, type Request } from './requests.js';
import type { World } from './world.js';

const PART = 'gRPC requests';
/** A request that has no answer after this hangs, even on a machine with much else to do. */
const DEADLINE_MS = 60_000;
const CONCURRENCY = 64;
/** One connection takes some 10 MiB/s: its window of 64 KiB is Node's default. */
const CONNECTIONS = 4;
/** A well-formed CreateAlert of a known caller after so many others. */
const PROBE_EVERY = 100;
const REMEMBERED_ALERTS = 2000;

interface Answer {
  readonly code: grpc.status;
  readonly details: string;
  readonly reason: string;
  readonly body: Buffer | undefined;
}

/** Our handlers say why they refuse; what these codes tell is worthless without a reason. */
const WITH_REASON: ReadonlySet<grpc.status> = new Set([
  grpc.status.INVALID_ARGUMENT,
  grpc.status.NOT_FOUND,
  grpc.status.PERMISSION_DENIED,
  grpc.status.UNAUTHENTICATED,
  grpc.status.FAILED_PRECONDITION,
  grpc.status.OUT_OF_RANGE,
]);

/** Feeds requests of every method to alert-api and stream-gateway, and judges each answer. */
export async function fuzzGrpc(world: World, random: Random, inputs: number): Promise<void> {
  const { report } = world;
  const alertApi = await connections(world.alertApi);
  const gateway = await connections(world.gateway);
  const known = { alertIds: [await createProbe(world, random)] };
  let sent = 0;
  const worker = async () => {
    while (sent < inputs) {
      sent += 1;
      const request = anyRequest(random, known);
      const answer = await (request.method.streams ? gateway : alertApi)[sent % CONNECTIONS]!.send(request);
      report.input(PART, request.kind, grpc.status[answer.code]);
      const wrong = verdict(request, answer);
      if (wrong !== undefined) report.fail(PART, `${request.path}, ${request.kind}: ${wrong}`, request.body);
      learn(known, request, answer);
      if (sent % PROBE_EVERY === 0) known.alertIds.push(await createProbe(world, random));
    }
  };
  try {
    await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  } finally {
    for (const sender of [...alertApi, ...gateway]) sender.close();
  }
}

async function connections(role: World['alertApi']): Promise<Sender[]> {
  return Promise.all(Array.from({ length: CONNECTIONS }, () => Sender.connect(role)));
}

function learn(known: { alertIds: number[] }, { method, body }: Request, answer: Answer): void {
  if (answer.code !== grpc.status.OK || method.name !== 'CreateAlert' || body.length === 0) return;
  const { alert } = method.response.decode(answer.body!) as unknown as { alert: { alertId: { toNumber(): number } } };
  known.alertIds.push(alert.alertId.toNumber());
  if (known.alertIds.length > REMEMBERED_ALERTS) known.alertIds.shift();
}

/** What is wrong with an answer, undefined if nothing is. */
function verdict(
  { method, body, expect }: Request,
  { code, details, reason, body: answer }: Answer,
): string | undefined {
  const said = `${grpc.status[code]} ${details.slice(0, 200)}`;
  // grpc-js refuses what its own decoder cannot read before any code of ours sees it, and INTERNAL is its word for
  // that.
  const undecodable = !decodes(method, body);
  if (code === grpc.status.INTERNAL && undecodable && details.startsWith('Error deserializing request'))
    return undefined;
  switch (expect) {
    case 'ok':
      // Another request was there before, or the device is another user's now.
      if (reason === 'DEVICE_NOT_FOUND') return undefined;
      return code === grpc.status.OK ? brokenAnswer(method, answer!) : `must be OK, not ${said}`;
    case 'too large':
      return code === grpc.status.RESOURCE_EXHAUSTED ? undefined : `must be RESOURCE_EXHAUSTED, not ${said}`;
    case 'unimplemented':
      return code === grpc.status.UNIMPLEMENTED ? undefined : `must be UNIMPLEMENTED, not ${said}`;
    case 'unauthenticated':
      return code === grpc.status.UNAUTHENTICATED ? undefined : `must be UNAUTHENTICATED, not ${said}`;
    case 'any':
      break;
  }
  if (undecodable) return `cannot be decoded and was answered with ${said}`;
  if (code === grpc.status.OK) return brokenAnswer(method, answer!);
  if (!WITH_REASON.has(code)) return `was answered with ${said}`;
  return reason === '' ? `was refused without a reason: ${said}` : undefined;
}

function decodes({ request }: Request['method'], body: Buffer): boolean {
  try {
    request.decode(body);
    return true;
  } catch {
    return false;
  }
}

/** Texts that are kept to 200 and 16,384 characters, of one or two units each. */
interface Kept {
  readonly title: string;
  readonly message: string;
}

const INTERNAL_CODES: readonly number[] = [grpc.status.UNKNOWN, grpc.status.INTERNAL];

/** An answer that cannot be read, or a batch with an item that failed for a reason of ours. */
function brokenAnswer({ response }: Request['method'], body: Buffer): string | undefined {
  const { alert, results } = response.decode(body) as unknown as {
    alert?: Kept | null;
    results?: { error: { code: number; message: string } | null; response: { alert: Kept } | null }[];
  };
  const kept = [alert, ...(results ?? []).map((result) => result.response?.alert)];
  const long = kept.find((each) => each && (each.title.length > 2 * 200 || each.message.length > 2 * 16_384));
  if (long) return `an alert was stored with a title of ${long.title.length} and a message of ${long.message.length}`;
  const broken = results?.find(({ error }) => error !== null && INTERNAL_CODES.includes(error.code));
  return broken === undefined ? undefined : `an item of the batch failed: ${broken.error!.message}`;
}

/** Sends requests as bytes over one connection. */
class Sender {
  private constructor(private readonly client: grpc.Client) {}

  static async connect(role: World['alertApi']): Promise<Sender> {
    const { grpc: address } = await role.listening();
    const options = { 'grpc.max_receive_message_length': -1, 'grpc.use_local_subchannel_pool': 1 };
    return new Sender(new grpc.Client(address, grpc.credentials.createInsecure(), options));
  }

  send(request: Request): Promise<Answer> {
    return request.method.streams ? this.#open(request) : this.#call(request);
  }

  #call({ path, body, metadata }: Request): Promise<Answer> {
    return new Promise((resolve) => {
      const options = { deadline: Date.now() + DEADLINE_MS };
      this.client.makeUnaryRequest(path, same, same, body, metadata, options, (error, response) => {
        resolve(error === null ? { code: grpc.status.OK, details: '', reason: '', body: response } : answerOf(error));
      });
    });
  }

  /** Opens a stream and ends it at its first response, with which it counts as accepted. */
  #open({ path, body, metadata }: Request): Promise<Answer> {
    return new Promise((resolve) => {
      const options = { deadline: Date.now() + DEADLINE_MS };
      const call = this.client.makeServerStreamRequest(path, same, same, body, metadata, options);
      call.on('data', (response: Buffer) => {
        resolve({ code: grpc.status.OK, details: '', reason: '', body: response });
        call.cancel();
      });
      call.on('error', (error: grpc.ServiceError) => resolve(answerOf(error)));
      call.on('end', () =>
        resolve({ code: grpc.status.UNKNOWN, details: 'it ended in silence', reason: '', body: undefined }),
      );
    });
  }

  close(): void {
    this.client.close();
  }
}

const same = (bytes: Buffer) => bytes;

function answerOf(error: grpc.ServiceError): Answer {
  return { code: error.code, details: error.details, reason: statusDetails(error).reason, body: undefined };
}

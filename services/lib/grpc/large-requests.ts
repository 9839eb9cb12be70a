import type grpc from '@grpc/grpc-js';
import { AlertError } from '../../domain/errors.js';
import { SharedRoom } from '../shared-room.js';
import { EventLoopTurns, Turns } from '../turns.js';

/**
 * Requests that are larger are decoded when their turn comes: 10,000 names take 1.2 ms, and 60 such calls may begin at
 * once.
 */
const LARGE_BYTES = 16_384;
/** A caller's next request is begun while less than this is at work: two with 10,000 names, or two batches of 500. */
const AT_WORK_BYTES = 192 * 1024;
/** Of all callers; one alone has half. A request that would leave less than its caller then has is refused. */
const BYTES_MAX = 64 * 1024 * 1024;
const RETRY_MS = 500;

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- grpc-js types a service by its untyped methods
type Method = grpc.MethodDefinition<any, any>;

/** What a server's client sent cannot be decoded: said as grpc-js says it of requests that it decodes itself. */
export class UndecodableRequest extends AlertError {
  constructor(cause: unknown) {
    super('INTERNAL', 'REQUEST_UNDECODABLE', 'Error deserializing request', { cause });
  }
}

/** A request as it came, which is decoded later. */
export class UnreadRequest {
  constructor(
    readonly bytes: number,
    private readonly decoded: () => unknown,
  ) {}

  /** @throws UndecodableRequest */
  decode(): unknown {
    try {
      return this.decoded();
    } catch (cause) {
      throw new UndecodableRequest(cause);
    }
  }
}

/** The same method, whose handler gets large requests as UnreadRequest. */
export function leavingLargeUnread(method: Method): Method {
  const decode = method.requestDeserialize;
  return {
    ...method,
    requestDeserialize: (bytes) =>
      bytes.length > LARGE_BYTES
        ? new UnreadRequest(bytes.length, () => decode(bytes) as unknown)
        : (decode(bytes) as unknown),
  };
}

/**
 * Requests that take long to decode, and what follows. Of each caller a few are at work, and the others wait as the
 * bytes they came in: so what one sends at once neither holds up the event loop nor fills the memory with names.
 */
export class LargeRequests {
  /** Bytes of those that wait or are at work. */
  readonly bytes = new SharedRoom(BYTES_MAX);
  /** Long computations for them take turns with their decoding. */
  readonly computations = new EventLoopTurns();
  readonly #turns = new Turns(AT_WORK_BYTES);

  constructor(private readonly onRefused: () => void) {}

  /**
   * Does a request's work when its turn comes.
   * @param refusal asked before it is decoded
   * @throws AlertError RESOURCE_EXHAUSTED with RetryInfo (TOO_MANY_CALLS) if the caller has too much here;
   * UndecodableRequest; the signal's reason if it aborts before the turn comes; the refusal; what `work` throws
   */
  async run<T>(
    caller: string,
    request: UnreadRequest,
    signal: AbortSignal,
    work: (message: unknown) => Promise<T>,
    refusal: () => Error | undefined = () => undefined,
  ): Promise<T> {
    if (!this.bytes.hasRoomFor(caller, request.bytes)) throw this.#refusal(caller);
    const leave = this.bytes.take(caller, request.bytes);
    const decode = () => {
      const refused = refusal();
      if (refused !== undefined) throw refused;
      return request.decode();
    };
    const read = async () => work(await this.computations.run(caller, signal, decode));
    try {
      return await this.#turns.run(caller, caller, signal, read, request.bytes);
    } finally {
      leave();
    }
  }

  #refusal(caller: string): AlertError {
    this.onRefused();
    const message = `${this.bytes.takenBy(caller)} bytes of large requests of this caller wait already; try again later`;
    return new AlertError('RESOURCE_EXHAUSTED', 'TOO_MANY_CALLS', message, { retryAfterMs: RETRY_MS });
  }
}

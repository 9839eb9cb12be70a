import type { TestContext } from 'node:test';
import grpc from '@grpc/grpc-js';
import type { MethodDefinition } from '@grpc/proto-loader';
import { api, type Methods } from '../../services/api/protos.js';
import type {
  AlertServiceDefinition,
  DeviceServiceDefinition,
  DirectoryServiceDefinition,
  InboxServiceDefinition,
} from '../../services/gen/types.js';
import { type StatusDetails, statusDetails } from '../../services/lib/grpc/status.js';
import { defer } from './defer.js';
import { patience } from './until-true.js';

/** Who calls, by AUTH_MODE=dev's metadata. Both, or none, are mistakes that the service must refuse. */
export interface As {
  readonly user?: string;
  readonly caller?: string;
  /** What else is sent. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export const ADMIN: As = { caller: 'test-admin' };

type Unary = Methods<AlertServiceDefinition> &
  Methods<InboxServiceDefinition> &
  Methods<DeviceServiceDefinition> &
  Methods<DirectoryServiceDefinition>;
/** Every unary method, by its name, which is unique among our services. */
export type Method = keyof Unary;
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- only the two types that stand first and last are wanted
type RequestOf<M extends Method> = Unary[M] extends MethodDefinition<infer R, any, any, any> ? R : never;
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as above
type ResponseOf<M extends Method> = Unary[M] extends MethodDefinition<any, any, any, infer R> ? R : never;

const definitions: Record<string, grpc.MethodDefinition<object, object>> = {
  ...(api.AlertService.service as unknown as Record<string, grpc.MethodDefinition<object, object>>),
  ...(api.InboxService.service as unknown as Record<string, grpc.MethodDefinition<object, object>>),
  ...(api.DeviceService.service as unknown as Record<string, grpc.MethodDefinition<object, object>>),
  ...(api.DirectoryService.service as unknown as Record<string, grpc.MethodDefinition<object, object>>),
};

/** A call that failed, with its status, and the details of the trailer as the service's clients read them. */
export class CallError extends Error {
  readonly code: keyof typeof grpc.status;
  readonly details: StatusDetails;

  constructor(method: string, error: grpc.ServiceError) {
    const code = grpc.status[error.code] as keyof typeof grpc.status;
    super(`${method}: ${code}: ${error.details}`, { cause: error });
    this.name = 'CallError';
    this.code = code;
    this.details = statusDetails(error);
  }

  get reason(): string {
    return this.details.reason;
  }

  /** The paths of the fields that were refused, sorted. */
  get fields(): string[] {
    return this.details.violations.map(({ field }) => field).sort();
  }
}

export function metadataOf({ user, caller, metadata: more = {} }: As): grpc.Metadata {
  const metadata = new grpc.Metadata();
  if (user !== undefined) metadata.set('x-user-id', user);
  if (caller !== undefined) metadata.set('x-caller', caller);
  for (const [key, value] of Object.entries(more)) metadata.set(key, value);
  return metadata;
}

/** Calls a service by gRPC, typed by our protos. */
export class TestApi {
  readonly #client: grpc.Client;

  constructor(readonly address: string) {
    this.#client = new grpc.Client(address, grpc.credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 500,
      // A channel of its own, so that closing it, or pausing it, touches no other client of this process.
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  /** @throws CallError */
  call<M extends Method>(
    method: M,
    request: RequestOf<M>,
    as: As = ADMIN,
    timeoutMs = patience(15_000),
  ): Promise<ResponseOf<M>> {
    const { path, requestSerialize, responseDeserialize } = definitions[method]!;
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request as object,
        metadataOf(as),
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          if (error !== null) reject(new CallError(method, error));
          else resolve(response as ResponseOf<M>);
        },
      );
    });
  }

  /** The raw client, for streams and for services that are not ours. */
  get client(): grpc.Client {
    return this.#client;
  }

  close(): void {
    this.#client.close();
  }
}

/** A client that is closed when the test ends. */
export function connectApi(t: TestContext, address: string): TestApi {
  const client = new TestApi(address);
  defer(t, () => client.close());
  return client;
}

/** The error that a call must end with. @throws if it succeeds or fails otherwise */
export async function failureOf(call: Promise<unknown>): Promise<CallError> {
  let response: unknown;
  try {
    response = await call;
  } catch (error) {
    if (error instanceof CallError) return error;
    throw error;
  }
  throw new Error(`the call succeeded: ${JSON.stringify(response)}`);
}

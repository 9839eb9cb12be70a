import grpc from '@grpc/grpc-js';
import { AlertError } from '../../domain/errors.js';
import type { Logger } from '../logging.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { RefusedCall } from './call-origin.js';
import { certificateOf } from './client-certificate.js';
import type { Authenticate, Identity } from './identity.js';
import { pass } from './open-streams.js';
import { metadataOf } from './reset-call.js';
import { toStatus } from './status.js';

export interface AdmissionDeps {
  readonly authenticate: Authenticate;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Whether a method is one of our services'; health and reflection need no identity. */
  readonly isOurs: (path: string) => boolean;
  /** What a caller is refused with who has as many unary calls running as it may, or makes more a second. */
  readonly refusal: (identity: Identity, isStream: boolean) => AlertError | undefined;
  readonly onRefused?: (call: RefusedCall, error: AlertError) => void;
}

/** Who calls, and whether the request is read at all. */
export class Admission {
  readonly #identities = new WeakMap<grpc.Metadata, Identity>();

  constructor(private readonly deps: AdmissionDeps) {}

  /** Of a call that was let in. */
  identityOf(metadata: grpc.Metadata): Identity | undefined {
    return this.#identities.get(metadata);
  }

  /**
   * Finds out who calls before the request is read, and refuses who makes more calls than it may: a batch of 500 takes
   * as long to decode as 50 others to serve.
   */
  readonly interceptor: grpc.ServerInterceptor = ({ path, responseStream }, call) => {
    const metadata = this.deps.isOurs(path) ? metadataOf(call) : undefined;
    if (metadata === undefined) return pass(call);
    let isCancelled = false;
    const refuse = (error: AlertError) => {
      const identity = this.#identities.get(metadata);
      this.deps.onRefused?.({ path, peer: call.getPeer(), identity, metadata }, error);
      if (!responseStream) this.deps.metrics.rpc(path, toStatus(error).code, 0);
      call.sendStatus(toStatus(error));
    };
    const found = this.#identify(path, metadata, call);
    if (!(found instanceof Promise)) {
      const refusal = found instanceof AlertError ? found : this.#note(metadata, found, responseStream);
      return refusal === undefined
        ? pass(call)
        : new grpc.ServerInterceptingCall(call, { start: () => refuse(refusal) });
    }
    return new grpc.ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (received, deliver) =>
            void found.then((identity) => {
              const refusal =
                identity instanceof AlertError ? identity : this.#note(received, identity, responseStream);
              if (refusal === undefined) deliver(received);
              else if (!isCancelled) refuse(refusal);
            }),
          onCancel: () => (isCancelled = true),
        }),
    });
  };

  #note(metadata: grpc.Metadata, identity: Identity, isStream: boolean): AlertError | undefined {
    this.#identities.set(metadata, identity);
    return this.deps.refusal(identity, isStream);
  }

  /** An error is returned: one that nobody waits for yet must not end the process. */
  #identify(
    path: string,
    metadata: grpc.Metadata,
    call: grpc.ServerInterceptingCallInterface,
  ): Identity | AlertError | Promise<Identity | AlertError> {
    const told = (error: unknown) => {
      if (error instanceof AlertError) return error;
      this.deps.logger.error({ method: path, err: error }, 'a caller could not be identified');
      return new AlertError('UNAUTHENTICATED', 'NO_IDENTITY', 'the caller could not be identified');
    };
    try {
      const found = this.deps.authenticate(metadata, call.getPeer(), () => certificateOf(call));
      return found instanceof Promise ? found.catch(told) : found;
    } catch (error) {
      return told(error);
    }
  }
}

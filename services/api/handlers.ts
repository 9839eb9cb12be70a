import type { MethodDefinition } from '@grpc/proto-loader';
import type { UnaryHandler } from '../lib/grpc/calls.js';
import type { Methods } from './protos.js';

/** The handlers of a service's unary methods, with the types that its generated definition says. */
export type Handlers<Definition> = {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the first and the last are the client's types
  readonly [M in keyof Methods<Definition>]: Definition[M] extends MethodDefinition<any, infer Out, infer In, any>
    ? UnaryHandler<In, Out>
    : never;
};

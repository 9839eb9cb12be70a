import type grpc from '@grpc/grpc-js';
import type protobuf from 'protobufjs';
import { api, messageType } from '../../../services/api/protos.js';

const PACKAGE = 'ssom.alert.v1';

/** One method of the API, as its proto file says. */
export interface Method {
  readonly service: string;
  readonly name: string;
  readonly path: string;
  readonly streams: boolean;
  readonly request: protobuf.Type;
  readonly response: protobuf.Type;
}

/** Every method of every service. */
export const METHODS: readonly Method[] = Object.entries(api).flatMap(([service, entry]) => {
  const definition = (entry as { service?: grpc.ServiceDefinition }).service;
  if (definition === undefined) return [];
  return Object.entries(definition).map(([name, { path, responseStream }]) => ({
    service,
    name,
    path,
    streams: responseStream,
    request: requestType(`${name}Request`),
    response: requestType(`${name}Response`),
  }));
});

/** A message with all that it refers to, resolved. */
function requestType(name: string): protobuf.Type {
  const type = messageType(`${PACKAGE}.${name}`);
  type.root.resolveAll();
  return type;
}

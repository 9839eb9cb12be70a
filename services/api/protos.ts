import * as grpc from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import protobuf from 'protobufjs';
import type { ProtoGrpcType as AlertProto } from '../gen/alert_service.js';
import type { ProtoGrpcType as StreamProto } from '../gen/alert_stream_service.js';
import { DEFINITIONS } from '../gen/definitions.js';
import type { ProtoGrpcType as DeviceProto } from '../gen/device_service.js';
import type { ProtoGrpcType as DirectoryProto } from '../gen/directory_service.js';
import type { ProtoGrpcType as InboxProto } from '../gen/inbox_service.js';

/** proto/generate-types.mjs uses the same, so that the types are true. Ids and sequences stay below 2^53. */
const LOADER_OPTIONS = { longs: Number, enums: String, defaults: true, oneofs: true } as const;

type Api = AlertProto['ssom']['alert']['v1'] &
  InboxProto['ssom']['alert']['v1'] &
  DeviceProto['ssom']['alert']['v1'] &
  DirectoryProto['ssom']['alert']['v1'] &
  StreamProto['ssom']['alert']['v1'];

/** Clients and service definitions of ssom.alert.v1. */
export const api = (grpc.loadPackageDefinition(fromJSON(DEFINITIONS, LOADER_OPTIONS)) as unknown as AlertProto).ssom
  .alert.v1 as Api;

/** The methods of a service's generated definition, without grpc-js's signature for any name. */
export type Methods<Definition> = {
  [M in keyof Definition as string extends M ? never : number extends M ? never : M]: Definition[M];
};

let root: protobuf.Root | undefined;

/** A message type by its full name, for encoding outside a call. */
export function messageType(name: string): protobuf.Type {
  root ??= protobuf.Root.fromJSON(DEFINITIONS);
  return root.lookupType(name);
}

/** The message type of a method's request, by the method's path such as `ssom.alert.v1.AlertService/CreateAlert`. */
export function requestType(path: string): protobuf.Type {
  const [name, method] = path.split('/') as [string, string];
  root ??= protobuf.Root.fromJSON(DEFINITIONS);
  const service = root.lookupService(name);
  return service.lookupType(service.methods[method]!.requestType);
}

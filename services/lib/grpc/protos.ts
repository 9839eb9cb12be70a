import { join } from 'node:path';
import grpc from '@grpc/grpc-js';
import protoLoader, { type PackageDefinition } from '@grpc/proto-loader';
import { protoPath as healthProto } from 'grpc-health-check';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { ROOT } from '../root.js';
import { DESCRIPTOR_SET } from './types/descriptor-set.js';
import type { ProtoGrpcType as AlertProto } from './types/alert_service.js';
import type { ProtoGrpcType as InboxProto } from './types/inbox_service.js';
import type { ProtoGrpcType as DirectoryProto } from './types/directory_service.js';
import type { ProtoGrpcType as StreamProto } from './types/alert_stream_service.js';

/** proto/generate-types.mjs uses the same, so that the types are true. Ids and sequences stay below 2^53. */
const LOADER_OPTIONS = { longs: Number, enums: String, defaults: true, oneofs: true } as const;

const PROTO_DIR = join(ROOT, 'proto');
const FILES = ['alert_service', 'inbox_service', 'directory_service', 'alert_stream_service'].map(
  (name) => `ssom/alert/v1/${name}.proto`,
);

const packageDefinition: PackageDefinition = protoLoader.loadSync(FILES, {
  ...LOADER_OPTIONS,
  includeDirs: [PROTO_DIR],
});

type Api = AlertProto['ssom']['alert']['v1'] &
  InboxProto['ssom']['alert']['v1'] &
  DirectoryProto['ssom']['alert']['v1'] &
  StreamProto['ssom']['alert']['v1'];

/** Clients and service definitions of ssom.alert.v1. */
export const api = (grpc.loadPackageDefinition(packageDefinition) as unknown as AlertProto).ssom.alert.v1 as Api;

let root: protobuf.Root | undefined;

/** A message type by its full name, for encoding outside a call. */
export function messageType(name: string): protobuf.Type {
  if (root === undefined) {
    root = new protobuf.Root();
    root.resolvePath = (_origin, target) => (target.startsWith('google/') ? target : join(PROTO_DIR, target));
    root.loadSync(FILES);
  }
  return root.lookupType(name);
}

/**
 * The proto files for reflection, in the shape that @grpc/reflection reads. The descriptors of the package definition itself
 * will not do: proto-loader rebuilds them without imports and map entries, and grpcurl refuses those.
 */
export function reflectedFiles(): PackageDefinition {
  const set = descriptor.FileDescriptorSet.decode(Buffer.from(DESCRIPTOR_SET, 'base64')) as unknown as {
    file: protobuf.Message[];
  };
  const fileDescriptorProtos = set.file.map((file) =>
    Buffer.from(descriptor.FileDescriptorProto.encode(file).finish()),
  );
  return { ...protoLoader.loadSync(healthProto), files: { fileDescriptorProtos } } as unknown as PackageDefinition;
}

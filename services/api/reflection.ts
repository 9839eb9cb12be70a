import type { PackageDefinition } from '@grpc/proto-loader';
import type protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { DESCRIPTOR_SET } from '../gen/descriptor-set.js';

/**
 * The proto files for reflection, in the shape that @grpc/reflection reads. The descriptors of a package definition
 * will not do: proto-loader rebuilds them without imports and map entries, and grpcurl refuses those.
 */
export function reflectedFiles(): PackageDefinition {
  const set = descriptor.FileDescriptorSet.decode(Buffer.from(DESCRIPTOR_SET, 'base64')) as unknown as {
    file: protobuf.Message[];
  };
  const fileDescriptorProtos = set.file.map((file) =>
    Buffer.from(descriptor.FileDescriptorProto.encode(file).finish()),
  );
  return { files: { fileDescriptorProtos } } as unknown as PackageDefinition;
}

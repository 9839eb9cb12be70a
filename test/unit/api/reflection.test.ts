import assert from 'node:assert/strict';
import test from 'node:test';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { reflectedFiles } from '../../../services/api/reflection.js';
import { AlertError } from '../../../services/domain/errors.js';
import { toStatus } from '../../../services/lib/grpc/status.js';

test('with what reflection tells, every detail of an error can be read', () => {
  const { fileDescriptorProtos } = reflectedFiles()['files'] as unknown as { fileDescriptorProtos: Buffer[] };
  const file = fileDescriptorProtos.map((bytes) => descriptor.FileDescriptorProto.decode(bytes));
  const { fromDescriptor } = protobuf.Root as unknown as { fromDescriptor: (set: object) => protobuf.Root };
  const root = fromDescriptor(descriptor.FileDescriptorSet.create({ file })).resolveAll();
  const read = (name: string, bytes: Uint8Array) => {
    const type = root.lookupType(name);
    return type.toObject(type.decode(bytes), { longs: Number });
  };

  const violations = [{ field: 'title', description: 'is required' }];
  const error = new AlertError('RESOURCE_EXHAUSTED', 'ODD', 'odd', {
    violations,
    retryAfterMs: 1500,
    metadata: { a: 'b' },
  });
  const [trailer] = toStatus(error).metadata.get('grpc-status-details-bin') as Buffer[];
  const status = read('google.rpc.Status', trailer!) as { details: { type_url: string; value: Uint8Array }[] };
  const details = status.details.map(({ type_url: url, value }) => {
    const name = url.replace('type.googleapis.com/', '');
    return [name, read(name, value)];
  });
  assert.deepEqual(Object.fromEntries(details), {
    'google.rpc.ErrorInfo': {
      reason: 'ODD',
      domain: 'alert.ssom',
      // protobufjs reads a descriptor's map as the entries that travel.
      metadata: [{ key: 'a', value: 'b' }],
    },
    'google.rpc.BadRequest': { field_violations: violations },
    'google.rpc.RetryInfo': { retry_delay: { seconds: 1, nanos: 500_000_000 } },
  });
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { devIdentity } from '../../../services/api/access.js';

function metadata(headers: Record<string, string>): Metadata {
  const result = new Metadata();
  for (const [name, value] of Object.entries(headers)) result.set(name, value);
  return result;
}

test('who sends a bearer token to AUTH_MODE=dev is told that it takes none, and what it takes', () => {
  const refused = (message: RegExp) => ({ code: 'UNAUTHENTICATED', reason: 'NO_IDENTITY', message });
  assert.throws(() => devIdentity(metadata({})), refused(/^the call names no identity; send .*x-user-id/));
  const bearer = { authorization: 'Bearer abc' };
  assert.throws(
    () => devIdentity(metadata(bearer)),
    refused(/AUTH_MODE=dev, which takes no bearer token; .*x-user-id/),
  );
  assert.equal(devIdentity(metadata({ ...bearer, 'x-user-id': 'op01' })).subject, 'op01');
});

import assert from 'node:assert/strict';
import test from 'node:test';
import grpc, { Metadata } from '@grpc/grpc-js';
import { AlertError, type ErrorCode } from '../../../../services/domain/errors.js';
import { statusDetails, toStatus } from '../../../../services/lib/grpc/status.js';

test('details come back from the trailer as they were sent', () => {
  const error = new AlertError('INVALID_ARGUMENT', 'INVALID_FIELDS', 'wrong: 제목', {
    violations: [
      { field: 'labels["k"]', description: 'must be 1 to 64 characters, not 65' },
      { field: '제목', description: '😀' },
    ],
    retryAfterMs: 2_345,
    metadata: { alert_id: '17' },
  });
  const status = toStatus(error);
  assert.equal(status.code, grpc.status.INVALID_ARGUMENT);
  assert.equal(status.details, 'wrong: 제목');
  assert.deepEqual(statusDetails(status), {
    reason: 'INVALID_FIELDS',
    metadata: { alert_id: '17' },
    violations: error.violations,
    retryAfterMs: 2_345,
  });
});

test('a status fits into the headers that clients take, however much is wrong', () => {
  const violations = Array.from({ length: 10_000 }, (_, index) => ({
    field: `users[${index}]`,
    description: '이'.repeat(1000),
  }));
  for (const message of ['', 'short', '이'.repeat(300_000), 'x'.repeat(1_000_000), '\ud800'.repeat(5000)]) {
    const status = toStatus(new AlertError('INVALID_ARGUMENT', 'INVALID_FIELDS', message, { violations }));
    const details = status.metadata.get('grpc-status-details-bin')[0] as Buffer;
    const size = encodeURIComponent(Buffer.from(status.details).toString()).length + details.toString('base64').length;
    assert.ok(size < 8192, `${size} bytes`);
    const read = statusDetails(status);
    assert.equal(read.reason, 'INVALID_FIELDS');
    assert.equal(read.violations[0]?.field, 'users[0]');
    assert.match(read.violations.at(-1)!.description, /^and \d+ more$/);
  }
});

test('what is not there is read as absent', () => {
  assert.deepEqual(statusDetails(toStatus(new AlertError('NOT_FOUND', 'ALERT_NOT_FOUND', 'none'))), {
    reason: 'ALERT_NOT_FOUND',
    metadata: {},
    violations: [],
    retryAfterMs: undefined,
  });
  const nothing = { reason: '', metadata: {}, violations: [], retryAfterMs: undefined };
  assert.deepEqual(statusDetails({}), nothing);
  assert.deepEqual(statusDetails({ metadata: new Metadata() }), nothing);
});

test('a trailer that cannot be read gives empty details', () => {
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', Buffer.from([0xff, 0xff, 0xff, 0xff, 0x01]));
  assert.equal(statusDetails({ metadata }).reason, '');
});

test('waiting times of under a second, of none, and of minutes', () => {
  for (const retryAfterMs of [0, 1, 999, 1000, 60_500]) {
    const status = toStatus(new AlertError('UNAVAILABLE', 'X', 'm', { retryAfterMs }));
    assert.equal(statusDetails(status).retryAfterMs, retryAfterMs);
  }
});

test('every code has its gRPC status, of the same name', () => {
  const codes: ErrorCode[] = [
    'INVALID_ARGUMENT',
    'NOT_FOUND',
    'PERMISSION_DENIED',
    'UNAUTHENTICATED',
    'FAILED_PRECONDITION',
    'OUT_OF_RANGE',
    'RESOURCE_EXHAUSTED',
    'UNAVAILABLE',
    'DEADLINE_EXCEEDED',
    'CANCELLED',
    'INTERNAL',
  ];
  for (const code of codes) assert.equal(toStatus(new AlertError(code, 'R', 'm')).code, grpc.status[code]);
});

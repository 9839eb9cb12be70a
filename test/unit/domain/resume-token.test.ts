import assert from 'node:assert/strict';
import test from 'node:test';
import { AlertError } from '../../../services/domain/errors.js';
import { readResumeToken, ResumeTokenWriter } from '../../../services/domain/resume-token.js';

const EPOCH = 812_345_678_901_234;

function refusal(token: string, user = 'op1', epoch = EPOCH): [string, string] {
  try {
    readResumeToken(token, user, epoch);
  } catch (error) {
    assert.ok(error instanceof AlertError);
    return [error.code, error.reason];
  }
  return ['OK', ''];
}

test('a token comes back as the number that it was written for', () => {
  const writer = new ResumeTokenWriter('op1', EPOCH);
  for (const sequence of [0, 1, 255, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 40 + 7, 2 ** 53 - 1]) {
    assert.equal(readResumeToken(writer.write(sequence), 'op1', EPOCH), sequence);
  }
});

test('a writer that is used again does not change earlier tokens', () => {
  const writer = new ResumeTokenWriter('op1', EPOCH);
  const first = writer.write(1);
  writer.write(2);
  assert.equal(readResumeToken(first, 'op1', EPOCH), 1);
});

test('garbage is no token', () => {
  const token = new ResumeTokenWriter('op1', EPOCH).write(42);
  const bytes = Buffer.from(token, 'base64url');
  const otherVersion = Buffer.from(bytes);
  otherVersion[0] = 2;
  const garbage = [
    'x',
    'garbage',
    '%%%',
    `${token} `,
    `${token}=`,
    `${token}AAAA`,
    token.slice(0, -1),
    token.slice(4),
    '한국어',
    'A'.repeat(39),
    otherVersion.toString('base64url'),
  ];
  for (const text of garbage) assert.deepEqual(refusal(text), ['INVALID_ARGUMENT', 'RESUME_TOKEN_INVALID'], text);
});

test('every flipped bit is noticed', () => {
  const bytes = Buffer.from(new ResumeTokenWriter('op1', EPOCH).write(42), 'base64url');
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const mangled = Buffer.from(bytes);
    mangled[bit >> 3]! ^= 1 << (bit & 7);
    assert.deepEqual(
      refusal(mangled.toString('base64url')),
      ['INVALID_ARGUMENT', 'RESUME_TOKEN_INVALID'],
      `bit ${bit}`,
    );
  }
});

test("another user's token, and one of another epoch, are told apart", () => {
  const token = new ResumeTokenWriter('op1', EPOCH).write(42);
  assert.deepEqual(refusal(token, 'op2'), ['PERMISSION_DENIED', 'RESUME_TOKEN_FOREIGN']);
  assert.deepEqual(refusal(token, 'op1', EPOCH + 1), ['OUT_OF_RANGE', 'RESUME_TOKEN_EXPIRED']);
  assert.deepEqual(refusal(token, 'op2', EPOCH + 1), ['PERMISSION_DENIED', 'RESUME_TOKEN_FOREIGN']);
});

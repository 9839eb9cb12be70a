import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { AlertError } from './errors.js';

/*
 * A resume token, before base64url: 1 byte version, 8 bytes the database's epoch, 8 bytes of the SHA-256 of the user
 * id, 8 bytes sequence, 4 bytes CRC-32 of what stands before, integers big-endian. The checksum tells a mangled token
 * from a foreign one; it is no signature, since a token opens nothing: every stream is authorised by its caller's
 * identity.
 */
const VERSION = 1;
const EPOCH_AT = 1;
const USER_AT = 9;
const SEQUENCE_AT = 17;
const CHECKSUM_AT = 25;
const LENGTH = 29;

function userHash(userId: string): Buffer {
  return createHash('sha256').update(userId).digest().subarray(0, 8);
}

/** Where tokens are put together, one after the other: a buffer of its own would be half of a writer's memory. */
const scratch = Buffer.alloc(LENGTH);
const checked = scratch.subarray(0, CHECKSUM_AT);
scratch[0] = VERSION;

/** Two 32-bit halves: a BigInt would cost more than the rest of a token. */
function writeUInt64(value: number, at: number): void {
  scratch.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  scratch.writeUInt32BE(value % 2 ** 32, at + 4);
}

/** Makes the tokens of one user's stream. */
export class ResumeTokenWriter {
  readonly #userHigh: number;
  readonly #userLow: number;

  /** @param epoch changes when the database is restored from a backup, which makes older tokens expire */
  constructor(
    userId: string,
    readonly epoch: number,
  ) {
    const hash = userHash(userId);
    this.#userHigh = hash.readUInt32BE(0);
    this.#userLow = hash.readUInt32BE(4);
  }

  /** The token behind a sequence number. */
  write(sequence: number): string {
    writeUInt64(this.epoch, EPOCH_AT);
    scratch.writeUInt32BE(this.#userHigh, USER_AT);
    scratch.writeUInt32BE(this.#userLow, USER_AT + 4);
    writeUInt64(sequence, SEQUENCE_AT);
    scratch.writeUInt32BE(crc32(checked), CHECKSUM_AT);
    return scratch.toString('base64url');
  }
}

/**
 * The sequence number that a token stands for.
 * @throws AlertError INVALID_ARGUMENT if it is no token, PERMISSION_DENIED if it is another user's, OUT_OF_RANGE
 * (RESUME_TOKEN_EXPIRED) if it was made in another epoch of the database
 */
export function readResumeToken(token: string, userId: string, epoch: number): number {
  const bytes = Buffer.from(token, 'base64url');
  const wellFormed =
    /^[A-Za-z0-9_-]+$/.test(token) &&
    bytes.length === LENGTH &&
    bytes[0] === VERSION &&
    bytes.readUInt32BE(CHECKSUM_AT) === crc32(bytes.subarray(0, CHECKSUM_AT));
  if (!wellFormed) {
    throw new AlertError(
      'INVALID_ARGUMENT',
      'RESUME_TOKEN_INVALID',
      'resume_token is not a token of this service; send the last one that a response carried, unchanged, or none',
      { violations: [{ field: 'resume_token', description: 'must be a token that a response carried, unchanged' }] },
    );
  }
  if (!bytes.subarray(USER_AT, SEQUENCE_AT).equals(userHash(userId))) {
    throw new AlertError('PERMISSION_DENIED', 'RESUME_TOKEN_FOREIGN', "resume_token belongs to another user's stream");
  }
  if (Number(bytes.readBigUInt64BE(EPOCH_AT)) !== epoch) throw tokenExpired();
  return bytes.readUInt32BE(SEQUENCE_AT) * 2 ** 32 + bytes.readUInt32BE(SEQUENCE_AT + 4);
}

export function tokenExpired(): AlertError {
  return new AlertError(
    'OUT_OF_RANGE',
    'RESUME_TOKEN_EXPIRED',
    'resume_token is too old to go on from; forget what you have and start a stream without a token, with STREAM_START_BEGINNING',
  );
}

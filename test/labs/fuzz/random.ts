import { Random as Seeded } from '../../support/random.js';

/** Random values and bytes that are the same for the same seed. */
export class Random extends Seeded {
  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < length; at += 1) bytes[at] = this.int(0, 255);
    return bytes;
  }

  /** Many bytes, made by repeating a few: random ones take too long by the megabyte. */
  manyBytes(length: number): Buffer {
    return Buffer.alloc(length, this.bytes(1021));
  }

  /** Bytes with one thing changed: a bit, a byte, the end cut off, something added or repeated. */
  mutate(bytes: Buffer): Buffer {
    if (bytes.length === 0) return this.bytes(this.int(1, 8));
    const copy = Buffer.from(bytes);
    const at = this.int(0, bytes.length - 1);
    switch (this.int(0, 4)) {
      case 0:
        copy[at]! ^= 1 << this.int(0, 7);
        return copy;
      case 1:
        copy[at] = this.pick([0, 1, 0x7f, 0x80, 0xff, this.int(0, 255)]);
        return copy;
      case 2:
        return copy.subarray(0, at);
      case 3:
        return Buffer.concat([copy, this.bytes(this.int(1, 20))]);
      default:
        return Buffer.concat([copy.subarray(0, at), copy.subarray(at, at + this.int(1, 8)), copy.subarray(at)]);
    }
  }

  /** A generator of its own, so that one part's use of random values does not shift another's. */
  override fork(): Random {
    return new Random(this.int(0, 2 ** 32 - 1));
  }
}

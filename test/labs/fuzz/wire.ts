import protobuf from 'protobufjs';
import type { Random } from './random.js';
import { textBytes } from './text.js';

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** Varints as they stand in the message: the ends of int32, int64 and uint64, and one of ten bytes that is beyond. */
const VARINTS = [
  '00',
  '01',
  '02',
  '07',
  '08',
  '32',
  'f403', // 500
  'f503',
  'ffffffff07', // 2^31 - 1
  '8080808008',
  'ffffffffffffff0f', // 2^53 - 1
  '8080808080808010',
  'ffffffffffffffff7f', // 2^63 - 1
  '80808080808080808001', // -2^63
  'ffffffffffffffffff01', // -1
  '80808080f8ffffffff01', // -2^31
  'ffffffffffffffffff7f',
].map((hex) => Buffer.from(hex, 'hex'));

function key(field: number, wireType: number): Buffer {
  return Buffer.from(
    protobuf.Writer.create()
      .uint32(((field << 3) | wireType) >>> 0)
      .finish(),
  );
}

function delimited(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([key(field, BYTES), Buffer.from(protobuf.Writer.create().uint32(bytes.length).finish()), bytes]);
}

const LONG_LIST = 40;

/** How often a repeated field is there; rarely more than the API takes. */
function repetitions(random: Random): number {
  const dice = random.next();
  if (dice < 0.96) return random.int(0, 4);
  if (dice < 0.998) return random.pick([31, 32, 33, 200, 201]);
  return random.pick([500, 501, 1000, 1001, 10_001]);
}

/** A message with any value in any field, as bytes, so that what no client would write is among it. */
export function wildMessage(type: protobuf.Type, random: Random, depth = 0, short = false): Buffer {
  const parts: Buffer[] = [];
  for (const field of type.fieldsArray) {
    if (random.chance(0.25)) continue;
    parts.push(wildField(field, random, depth, short));
  }
  if (random.chance(0.1)) parts.push(unknownField(random));
  // Fields may stand in any order, and a field that is there twice counts as its last one.
  if (random.chance(0.2)) parts.reverse();
  if (random.chance(0.1) && parts.length > 0) parts.push(random.pick(parts));
  return Buffer.concat(parts);
}

/** A field with anything in it. */
export function wildField(field: protobuf.Field, random: Random, depth = 0, short = false): Buffer {
  // Lists within lists multiply; a few items show as much there.
  const times = !field.repeated && !field.map ? 1 : depth > 0 ? random.int(0, 3) : repetitions(random);
  const brief = short || times > LONG_LIST;
  return Buffer.concat(Array.from({ length: times }, () => wildValue(field, random, depth, brief)));
}

function wildValue(field: protobuf.Field, random: Random, depth: number, short: boolean): Buffer {
  const { id, resolvedType } = field;
  if (field instanceof protobuf.MapField) {
    return delimited(
      id,
      Buffer.concat([delimited(1, textBytes(random, short)), delimited(2, textBytes(random, short))]),
    );
  }
  if (resolvedType instanceof protobuf.Type) return delimited(id, wildMessage(resolvedType, random, depth + 1, short));
  if (field.type === 'string') return delimited(id, textBytes(random, short));
  if (random.chance(0.02)) return delimited(id, random.bytes(random.int(0, 12))); // the wrong wire type
  return Buffer.concat([key(id, VARINT), random.pick(VARINTS)]);
}

function unknownField(random: Random): Buffer {
  const field = random.pick([11, 99, 1000, 19_000, 536_870_911]);
  switch (random.int(0, 3)) {
    case 0:
      return Buffer.concat([key(field, VARINT), random.pick(VARINTS)]);
    case 1:
      return Buffer.concat([key(field, FIXED64), random.bytes(8)]);
    case 2:
      return Buffer.concat([key(field, FIXED32), random.bytes(4)]);
    default:
      return delimited(field, random.bytes(random.int(0, 200)));
  }
}

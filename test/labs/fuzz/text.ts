import type { Random } from './random.js';

const WORDS = ['ssok-bank-api', 'ssok-transfer', 'Hello', '이체 지연', '🚨', 'a', 'OPERATION', 'fuzz'];
const ODD = [
  '\0',
  'a\0b',
  '\u0001\u001f\u007f',
  '\r\n',
  '\ufeff',
  '\u202e',
  '\uffff',
  '\ufffd',
  '\u200b',
  '\u3164',
  ' ',
  '\t',
  '%00',
  "'; DROP TABLE alerts; --",
  '{"a":1}',
  '__proto__',
  'constructor',
  '../../etc/passwd',
  '1e999',
  'NaN',
  '👨‍👩‍👧‍👦',
  'e\u0301\u0301\u0301',
];
/** The limits of the API and what lies beside them. */
const LENGTHS = [
  0, 1, 63, 64, 65, 127, 128, 129, 199, 200, 201, 255, 256, 257, 316, 317, 318, 1023, 1024, 1025, 4096, 4097,
];
const LONG = [16_383, 16_384, 16_385, 65_536, 262_144, 262_145, 300_000];

/**
 * Text as UTF-8, and now and then bytes that are none: a surrogate alone, a cut character, an overlong one.
 * @param short for long lists, which would come to hundreds of MiB
 */
export function textBytes(random: Random, short = false): Buffer {
  if (random.chance(0.05))
    return random.pick([
      Buffer.from([0xed, 0xa0, 0x80]),
      Buffer.from([0xed, 0xbf, 0xbf, 0x41]),
      Buffer.from([0xc0, 0x80]),
      Buffer.from([0xf0, 0x9f]),
      random.bytes(random.int(1, 40)),
    ]);
  return Buffer.from(short ? random.pick([...WORDS, ...ODD]) : text(random));
}

export function text(random: Random): string {
  const dice = random.next();
  if (dice < 0.35) return random.pick(WORDS);
  if (dice < 0.6) return random.pick(ODD);
  const character = random.pick(['x', 'é', '이', '🚨', '\\', '"', ' ']);
  if (dice < 0.995) return character.repeat(random.pick(LENGTHS));
  return character.repeat(random.pick(LONG));
}

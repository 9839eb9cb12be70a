/*
 * HTTP/2 as bytes (RFC 9113), for what no client library sends.
 */

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const FLAG = { ACK: 1, END_STREAM: 1, END_HEADERS: 4 } as const;

/** @param length said instead of the payload's */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
  length = payload.length,
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([head, payload]);
}

/** `:method POST`, `:scheme http`, `:path /` from HPACK's static table, then a literal `:authority x`. */
export const REQUEST = Buffer.from([0x83, 0x86, 0x84, 0x41, 0x01, 0x78]);

/** A gRPC request of a path, so that it reaches a method. */
export function requestOf(path: string, more: Readonly<Record<string, string>> = {}): Buffer {
  const literal = (text: string) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
  const headers = Object.entries({ 'content-type': 'application/grpc', ...more }).flatMap(([name, value]) => [
    Buffer.from([0x00]),
    literal(name),
    literal(value),
  ]);
  // `:method POST`, `:scheme http`, then literals, of which `:path` and `:authority` have names in the static table.
  return Buffer.concat([Buffer.from([0x83, 0x86, 0x04]), literal(path), Buffer.from([0x01]), literal('x'), ...headers]);
}

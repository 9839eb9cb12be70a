// ACLs by Kafka's own protocol: its tool takes a second for each, and the client has no call for them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import type { Kafka } from '#stack';
import type { Right } from '../../services/events/rights.js';

const RESOURCES = { topic: 2, group: 3, cluster: 4 } as const;
const OPERATIONS = { Read: 3, Write: 4, Create: 5, Describe: 8, DescribeConfigs: 10, IdempotentWrite: 12 } as const;
const [LITERAL, ALLOW] = [3, 3];
const [CREATE_ACLS, VERSION] = [30, 1];

const int8 = (value: number) => Buffer.from([value]);
const int16 = (value: number) => Buffer.from([value >> 8, value & 0xff]);
const int32 = (value: number) => Buffer.from([value >>> 24, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff]);
const text = (value: string) => Buffer.concat([int16(Buffer.byteLength(value)), Buffer.from(value)]);

/** Gives a principal rights on a secured broker, as its administrator. @throws if one of them is refused */
export async function grant(broker: Kafka, folder: string, user: string, rights: readonly Right[]): Promise<void> {
  const acls = rights.flatMap(({ resource, name, operation }) => [
    ...[int8(RESOURCES[resource]), text(name), int8(LITERAL)],
    ...[text(`User:${user}`), text('*'), int8(OPERATIONS[operation]), int8(ALLOW)],
  ]);
  const header = [int16(CREATE_ACLS), int16(VERSION), int32(1), text('test')];
  const body = Buffer.concat([...header, int32(rights.length), ...acls]);
  const answer = await ask(broker, folder, Buffer.concat([int32(body.length), body]));
  // Length, correlation, throttle time, then of each ACL a code and a message, which is null where it was taken.
  for (let at = 16, left = answer.readInt32BE(12); left > 0; left -= 1, at += 4)
    if (answer.readInt16BE(at) !== 0) throw new Error(`an ACL of ${user} was refused: ${answer.readInt16BE(at)}`);
}

function ask(broker: Kafka, folder: string, request: Buffer): Promise<Buffer> {
  const read = (name: string) => readFileSync(join(folder, name));
  const [host, port] = broker.mtlsBootstrap!.split(':');
  const identity = { ca: read('ca.pem'), cert: read('admin.pem'), key: read('admin-key.pem') };
  return new Promise((resolve, reject) => {
    let answer = Buffer.alloc(0);
    const socket = connect({ ...identity, host: host!, port: Number(port) }, () => socket.write(request));
    socket.setTimeout(10_000, () => socket.destroy(new Error('the broker did not answer')));
    socket.once('error', reject);
    socket.on('data', (data) => {
      answer = Buffer.concat([answer, data]);
      if (answer.length < 4 || answer.length < 4 + answer.readInt32BE(0)) return;
      socket.destroy();
      resolve(answer);
    });
  });
}

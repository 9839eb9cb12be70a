// A few requests of Kafka's own protocol, by certificate: its tools take a second for each, and the client has no call
// for them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import type { Kafka } from '#stack';
import type { Right } from '../../services/events/rights.js';

const CREATE_ACLS = { key: 30, version: 1 };
const CREATE_TOPICS = { key: 19, version: 2 };
const OFFSET_FETCH = { key: 9, version: 3 };
const JOIN_GROUP = { key: 11, version: 4 };

const RESOURCES = { topic: 2, group: 3, cluster: 4 } as const;
const OPERATIONS = {
  ...{ Read: 3, Write: 4, Create: 5, Delete: 6, Describe: 8, DescribeConfigs: 10, IdempotentWrite: 12 },
} as const;
const PATTERNS = { literal: 3, prefixed: 4 } as const;
const ALLOW = 3;
const GROUP_AUTHORIZATION_FAILED = 30;

/** As `Right`, and what no table of ours has. */
export interface Acl {
  readonly resource: keyof typeof RESOURCES;
  readonly name: string;
  readonly operation: keyof typeof OPERATIONS;
  readonly pattern?: keyof typeof PATTERNS;
}

export interface NewTopic {
  readonly name: string;
  readonly partitions: number;
}

const int8 = (value: number) => Buffer.from([value]);
const int16 = (value: number) => Buffer.from([(value >> 8) & 0xff, value & 0xff]);
const int32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const text = (value: string) => Buffer.concat([int16(Buffer.byteLength(value)), Buffer.from(value)]);

/** A broker as one of its principals sees it. */
export class KafkaProtocol {
  constructor(
    private readonly broker: Kafka,
    /** Of the stack's certificates. */
    private readonly folder: string,
    private readonly user = 'admin',
  ) {}

  /** Gives a principal rights. @throws if one of them is refused */
  async grant(user: string, rights: readonly (Right | Acl)[]): Promise<void> {
    const acls = rights.flatMap((right) => [
      ...[int8(RESOURCES[right.resource]), text(right.name), int8(PATTERNS[patternOf(right)])],
      ...[text(`User:${user}`), text('*'), int8(OPERATIONS[right.operation]), int8(ALLOW)],
    ]);
    const answer = await this.#ask(CREATE_ACLS, [int32(rights.length), ...acls]);
    // The throttle time, then of each ACL a code and a message, which is null where it was taken.
    for (let at = 8, left = answer.readInt32BE(4); left > 0; left -= 1, at += 4)
      if (answer.readInt16BE(at) !== 0) throw new Error(`an ACL of ${user} was refused: ${answer.readInt16BE(at)}`);
  }

  /** @throws if one of them is refused */
  async createTopics(topics: readonly NewTopic[]): Promise<void> {
    const [timeout, validateOnly] = [int32(20_000), int8(0)];
    const wanted = topics.flatMap(({ name, partitions }) => [
      ...[text(name), int32(partitions), int16(1)],
      // Neither a place for each partition nor settings.
      ...[int32(0), int32(0)],
    ]);
    const answer = await this.#ask(CREATE_TOPICS, [int32(topics.length), ...wanted, timeout, validateOnly]);
    let at = 8;
    for (const { name } of topics) {
      at += 2 + answer.readInt16BE(at);
      const code = answer.readInt16BE(at);
      if (code !== 0) throw new Error(`the topic ${name} was refused: ${code}`);
      at += 4;
    }
  }

  /** Whether it may join a group, without becoming a member of it. */
  async mayJoin(group: string): Promise<boolean> {
    const [session, rebalance, member, protocol] = [int32(10_000), int32(10_000), text(''), text('consumer')];
    const assignors = [int32(1), text('range'), int32(0)];
    const answer = await this.#ask(JOIN_GROUP, [text(group), session, rebalance, member, protocol, ...assignors]);
    return answer.readInt16BE(4) !== GROUP_AUTHORIZATION_FAILED;
  }

  /** Whether it is told how far a group has come. */
  async maySeeOffsets(group: string): Promise<boolean> {
    const noTopics = int32(0);
    const answer = await this.#ask(OFFSET_FETCH, [text(group), noTopics]);
    return answer.readInt16BE(8) !== GROUP_AUTHORIZATION_FAILED;
  }

  /** @returns what is behind the header */
  #ask(api: { readonly key: number; readonly version: number }, body: readonly Buffer[]): Promise<Buffer> {
    const header = [int16(api.key), int16(api.version), int32(1), text('test')];
    const request = Buffer.concat([...header, ...body]);
    const read = (name: string) => readFileSync(join(this.folder, name));
    const [host, port] = this.broker.mtlsBootstrap!.split(':');
    const identity = { ca: read('ca.pem'), cert: read(`${this.user}.pem`), key: read(`${this.user}-key.pem`) };
    return new Promise((resolve, reject) => {
      let answer = Buffer.alloc(0);
      const socket = connect({ ...identity, host: host!, port: Number(port) }, () =>
        socket.write(Buffer.concat([int32(request.length), request])),
      );
      socket.setTimeout(10_000, () => socket.destroy(new Error('the broker did not answer')));
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('the broker has closed the connection')));
      socket.on('data', (data) => {
        answer = Buffer.concat([answer, data]);
        if (answer.length < 4 || answer.length < 4 + answer.readInt32BE(0)) return;
        resolve(answer.subarray(8));
        socket.destroy();
      });
    });
  }
}

function patternOf(right: Right | Acl): keyof typeof PATTERNS {
  return 'pattern' in right ? (right.pattern ?? 'literal') : 'literal';
}

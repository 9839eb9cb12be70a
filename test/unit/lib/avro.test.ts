import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import avsc from 'avsc';
import {
  AvroCodec,
  canonicalSchema,
  incompatibility,
  UnavailableSchema,
  UndecodableRecord,
  UnusableSchema,
} from '../../../services/lib/avro.js';
import { ROOT } from '../../../services/lib/root.js';
import { untilTrue } from '../../support/until-true.js';

const SCHEMAS = join(ROOT, 'schemas');
const SUBJECTS = readdirSync(SCHEMAS, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);
/** The versions of a subject, oldest first. */
const versionsOf = (subject: string) =>
  readdirSync(join(SCHEMAS, subject))
    .filter((file) => file.endsWith('.avsc'))
    .sort((a, b) => Number(/\d+/.exec(a)![0]) - Number(/\d+/.exec(b)![0]))
    .map((file) => readFileSync(join(SCHEMAS, subject, file), 'utf8'));

const V1 = '{"type":"record","name":"Event","fields":[{"name":"id","type":"long"},{"name":"name","type":"string"}]}';
const V2 =
  '{"type":"record","name":"Event","fields":[{"name":"id","type":"long"},{"name":"name","type":"string"},' +
  '{"name":"count","type":"int","default":7}]}';

interface Event {
  id: number;
  name: string;
  count?: number;
}

const unasked = () => Promise.reject(new Error('the registry was asked'));

test('the wire format: magic byte 0, the id in 4 bytes, then Avro', () => {
  const bytes = new AvroCodec<Event>(V1, 0x01020304, unasked).encode({ id: 1, name: 'ab' });
  // 1 is 02 in zig-zag, and so is the length of 2, 04.
  assert.equal(bytes.toString('hex'), '00' + '01020304' + '02' + '046162');
});

test('what was encoded is decoded, without asking the registry', async () => {
  const codec = new AvroCodec<Event>(V2, 9, unasked);
  for (const event of [
    { id: 0, name: '', count: 0 },
    { id: 2 ** 52, name: '한국어 😀', count: -1 },
    { id: -(2 ** 52), name: 'x'.repeat(100_000), count: 2 ** 31 - 1 },
  ]) {
    assert.deepEqual({ ...codec.decodeKnown(codec.encode(event)) }, event);
    assert.deepEqual({ ...(await codec.decode(codec.encode(event))) }, event);
  }
});

test('what was encoded stays as it is, whatever its length, when something else is encoded', () => {
  const codec = new AvroCodec<Event>(V1, 9, unasked);
  const type = avsc.Type.forSchema(JSON.parse(V1) as avsc.Schema);
  const events = Array.from({ length: 1100 }, (_, length) => ({
    id: length,
    name: String(length % 10).repeat(length),
  }));
  const encoded = events.map((event) => codec.encode(event));
  for (const [index, event] of events.entries())
    assert.ok(encoded[index]!.subarray(5).equals(type.toBuffer(event)), `a name of ${index} characters`);
});

test('bytes that are no record are undecodable', async () => {
  const codec = new AvroCodec<Event>(V1, 5, unasked);
  const good = codec.encode({ id: 1, name: 'abc' });
  const otherMagic = Buffer.from(good);
  otherMagic[0] = 1;
  const cases: [string, Buffer | null][] = [
    ['no value', null],
    ['empty', Buffer.alloc(0)],
    ['a header and no more', good.subarray(0, 5)],
    ['half a header', good.subarray(0, 3)],
    ['another magic byte', otherMagic],
    ['truncated', good.subarray(0, -1)],
    ['trailing bytes', Buffer.concat([good, Buffer.from([0])])],
    ['JSON', Buffer.from('{"id":1}')],
  ];
  for (const [what, bytes] of cases) {
    await assert.rejects(codec.decode(bytes), UndecodableRecord, what);
    assert.throws(() => codec.decodeKnown(bytes), UndecodableRecord, what);
  }
});

test('a list or a map that claims more items than there are bytes is refused at once', async () => {
  const schema = JSON.stringify({
    type: 'record',
    name: 'Lists',
    fields: [
      { name: 'list', type: { type: 'array', items: 'string' }, default: [] },
      { name: 'map', type: { type: 'map', values: 'string' }, default: {} },
    ],
  });
  const long = (value: number) => avsc.Type.forSchema('long').toBuffer(value);
  const [none, size] = [long(0), long(1)];
  const negativeLength = long(-2);
  const bodies = [2 ** 31, 2 ** 40, -(2 ** 40), 1000].flatMap((count) => {
    const block = count < 0 ? Buffer.concat([long(count), size]) : long(count);
    return [Buffer.concat([block, none]), Buffer.concat([none, block]), block];
  });
  // A length that leads back would read the same bytes again and again, and one of very many digits is no number.
  bodies.push(Buffer.concat([long(1), negativeLength, none, none]), Buffer.alloc(3000, 0xff));
  // The reader that keeps the lists, and one that skips them.
  const skipping = '{"type":"record","name":"Lists","fields":[{"name":"other","type":"int","default":0}]}';
  for (const [reader, id] of [
    [schema, 5],
    [skipping, 6],
  ] as const) {
    const codec = new AvroCodec(reader, id, () => Promise.resolve(schema));
    for (const body of bodies) {
      const record = Buffer.concat([Buffer.from([0, 0, 0, 0, 5]), body]);
      await assert.rejects(codec.decode(record), UndecodableRecord, body.subarray(0, 20).toString('hex'));
    }
  }
  const codec = new AvroCodec<object>(schema, 5, unasked);
  const lists = { list: ['a', '', 'b'], map: { x: 'y', '': '' } };
  assert.deepEqual(JSON.parse(JSON.stringify(codec.decodeKnown(codec.encode(lists)))), lists);
});

test('every truncation is noticed', () => {
  const codec = new AvroCodec<Event>(V1, 5, unasked);
  const good = codec.encode({ id: 123_456_789, name: 'abcdef' });
  for (let length = 0; length < good.length; length += 1)
    assert.throws(() => codec.decodeKnown(good.subarray(0, length)), UndecodableRecord, `${length} bytes`);
});

test("another writer's schema is asked for once, and a failure is soon forgotten", async () => {
  let asked = 0;
  let away = true;
  const codec = new AvroCodec<Event>(V2, 2, (id) => {
    asked += 1;
    assert.equal(id, 1);
    return away ? Promise.reject(new Error('the registry is away')) : Promise.resolve(V1);
  });
  const old = new AvroCodec<Event>(V1, 1, unasked).encode({ id: 3, name: 'old' });
  await assert.rejects(codec.decode(old), UnavailableSchema);
  assert.equal(codec.decodeKnown(old), undefined);
  // A batch of such records asks once.
  await assert.rejects(codec.decode(old), /schema 1 cannot be had now: the registry is away/);
  assert.equal(asked, 1);
  away = false;
  const read = () => Promise.all([codec.decode(old), codec.decode(old)]);
  let decoded: Event[] | undefined;
  await untilTrue(
    async () => {
      decoded = await read().catch(() => undefined);
      return decoded !== undefined;
    },
    { what: 'it is asked again' },
  );
  assert.deepEqual({ ...decoded![1] }, { id: 3, name: 'old', count: 7 });
  assert.deepEqual({ ...codec.decodeKnown(old) }, { id: 3, name: 'old', count: 7 });
  assert.equal(asked, 2);
});

/** A record's header and nothing more. */
const naming = (id: number) => {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt32BE(id, 1);
  return bytes;
};

test('a registry that does not answer is not waited for: the record is to wait, and one question is on its way', async () => {
  let asked = 0;
  let answer: (schema: string) => void = () => undefined;
  const codec = new AvroCodec<Event>(V2, 2, () => {
    asked += 1;
    return new Promise<string>((resolve) => (answer = resolve));
  });
  const old = new AvroCodec<Event>(V1, 1, unasked).encode({ id: 3, name: 'old' });
  await assert.rejects(codec.decode(old), /schema 1 cannot be had now: the registry has not answered yet/);
  const since = performance.now();
  for (let count = 0; count < 1000; count += 1) await assert.rejects(codec.decode(old), UnavailableSchema);
  assert.ok(performance.now() - since < 5000, 'each of them waited');
  answer(V1);
  assert.deepEqual({ ...(await codec.decode(old).catch(() => codec.decode(old))) }, { id: 3, name: 'old', count: 7 });
  assert.equal(asked, 1);
});

test('of very many schemas a few are kept, and asked for at a time', async () => {
  const asked = new Map<number, number>();
  const empty = '{"type":"record","name":"Event","fields":[]}';
  const codec = new AvroCodec<object>(empty, 1_000_000, (id) => {
    asked.set(id, (asked.get(id) ?? 0) + 1);
    return Promise.resolve(empty);
  });
  for (let id = 0; id < 1000; id += 1) await codec.decode(naming(id));
  assert.equal(codec.decodeKnown(naming(0)), undefined, 'the oldest is forgotten');
  assert.notEqual(codec.decodeKnown(naming(999)), undefined);
  assert.notEqual(await codec.decode(naming(1_000_000)), undefined, 'ours is not');
  assert.ok([...asked.values()].every((times) => times === 1));
  let waiting = 0;
  const silent = new AvroCodec<object>(empty, 1_000_000, () => {
    waiting += 1;
    return new Promise<string>(() => undefined);
  });
  const outcomes = await Promise.allSettled(Array.from({ length: 1000 }, (_, id) => silent.decode(naming(id))));
  assert.ok(outcomes.every(({ status }) => status === 'rejected'));
  assert.ok(waiting <= 200, `${waiting} questions at a time`);
});

test('an id that is unknown for good is not asked for with each record', async () => {
  let asked = 0;
  const told: Error[] = [];
  const codec = new AvroCodec<Event>(
    V1,
    1,
    (id) => {
      asked += 1;
      return Promise.reject(new UnusableSchema(id, `the registry knows no schema ${id}`));
    },
    { onUnread: (error) => told.push(error) },
  );
  for (let count = 0; count < 100; count += 1) await assert.rejects(codec.decode(naming(9)), UnusableSchema);
  assert.ok(asked < 10, `asked ${asked} times`);
  assert.equal(told.length, asked);
});

const WITH_ENUM = (symbols: string[]) =>
  JSON.stringify({
    type: 'record',
    name: 'Event',
    fields: [
      { name: 'kind', type: { type: 'enum', name: 'Kind', symbols, default: symbols[0] } },
      {
        name: 'parts',
        default: [],
        type: {
          type: 'array',
          items: {
            type: 'record',
            name: 'Part',
            fields: [{ name: 'state', type: { type: 'enum', name: 'State', symbols, default: symbols[0] } }],
          },
        },
      },
    ],
  });

test('an enum symbol that is not known is read as the default, and counted with its field', async () => {
  const newer = WITH_ENUM(['OTHER', 'A', 'NEW']);
  const counted: string[] = [];
  const codec = new AvroCodec<{ kind: string; parts: { state: string }[] }>(
    WITH_ENUM(['OTHER', 'A']),
    1,
    () => Promise.resolve(newer),
    { onUnknownSymbol: (field) => counted.push(field) },
  );
  assert.deepEqual(codec.enums, ['kind', 'parts.state']);
  const writer = new AvroCodec<object>(newer, 2, unasked);
  const read = async (kind: string, ...states: string[]) =>
    plain(await codec.decode(writer.encode({ kind, parts: states.map((state) => ({ state })) })));
  assert.deepEqual(await read('A', 'OTHER', 'A'), { kind: 'A', parts: [{ state: 'OTHER' }, { state: 'A' }] });
  assert.deepEqual(counted, []);
  assert.deepEqual(await read('NEW', 'NEW', 'A', 'NEW'), {
    kind: 'OTHER',
    parts: [{ state: 'OTHER' }, { state: 'A' }, { state: 'OTHER' }],
  });
  assert.deepEqual(counted, ['kind', 'parts.state', 'parts.state']);
  const beyond = Buffer.concat([naming(2), Buffer.from([6, 0])]);
  await assert.rejects(codec.decode(beyond), UndecodableRecord);
});

test('an id that nobody knows, and a schema that is not ours, are undecodable', async () => {
  const unknown = new AvroCodec<Event>(V1, 1, () =>
    Promise.reject(new UnusableSchema(9, 'the registry knows no schema 9')),
  );
  await assert.rejects(unknown.decode(Buffer.from('0000000009aa', 'hex')), UndecodableRecord);
  const foreign = new AvroCodec<Event>(V1, 1, () => Promise.resolve('{"type":"record","name":"Other","fields":[]}'));
  await assert.rejects(foreign.decode(Buffer.from('0000000009', 'hex')), UndecodableRecord);
});

test('every version of every subject reads every other one: FULL_TRANSITIVE', async (t) => {
  assert.ok(SUBJECTS.length >= 3);
  for (const subject of SUBJECTS) {
    const versions = versionsOf(subject);
    for (const [w, writer] of versions.entries()) {
      for (const [r, reader] of versions.entries()) {
        await t.test(`${subject}: v${w + 1} read as v${r + 1}`, async () => {
          assert.equal(incompatibility(reader, writer), undefined);
          const writerFields = fieldsOf(writer);
          const writing = new AvroCodec<Record<string, unknown>>(writer, w + 1, unasked);
          const reading = new AvroCodec<Record<string, unknown>>(reader, r + 1, (id) =>
            Promise.resolve(versions[id - 1]!),
          );
          for (let round = 0; round < 20; round += 1) {
            const value = avsc.Type.forSchema(JSON.parse(writer) as avsc.Schema).random() as unknown as Record<
              string,
              unknown
            >;
            const read = await reading.decode(writing.encode(value));
            for (const { name, default: standard } of fieldsOf(reader)) {
              const written = writerFields.some((field) => field.name === name);
              assert.deepEqual(plain(read[name]), plain(written ? value[name] : standard), name);
            }
          }
        });
      }
    }
  }
});

interface Field {
  name: string;
  default?: unknown;
}

function fieldsOf(schema: string): Field[] {
  return (JSON.parse(schema) as { fields: Field[] }).fields;
}

/** Without avsc's classes. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

test('the original events are the first versions', () => {
  const names = (subject: string) => fieldsOf(versionsOf(subject)[0]!).map(({ name }) => name);
  assert.deepEqual(names('alert-created-topic-value'), ['alertId', 'alertKind', 'appName']);
  assert.deepEqual(names('user-alert-topic-value'), ['alertId', 'userId']);
});

test('incompatibility is found in both directions', () => {
  const without = '{"type":"record","name":"Event","fields":[{"name":"id","type":"long"}]}';
  const retyped = '{"type":"record","name":"Event","fields":[{"name":"id","type":"string"}]}';
  assert.notEqual(incompatibility(V1, without), undefined);
  assert.equal(incompatibility(without, V1), undefined);
  assert.notEqual(incompatibility(retyped, without), undefined);
  assert.notEqual(incompatibility(without, retyped), undefined);
});

test('canonical text keeps the order of keys and drops white space', () => {
  assert.equal(canonicalSchema('{ "b": 1,\n "a": [ 1 ] }'), '{"b":1,"a":[1]}');
});

/** A version of ours as another release might have it. */
const inNamespace = (schema: string, namespace: string) =>
  JSON.stringify({ ...(JSON.parse(schema) as object), namespace });

for (const subject of SUBJECTS) {
  test(`a writer's schema of ${subject} in another namespace is read as ours`, async () => {
    const newest = versionsOf(subject).at(-1)!;
    const foreign = inNamespace(newest, 'ssom.alert.events.v9');
    assert.equal(incompatibility(newest, foreign), undefined);
    assert.equal(incompatibility(foreign, newest), undefined);
    const writer = new AvroCodec<object>(foreign, 7, unasked);
    const reader = new AvroCodec<object>(newest, 8, () => Promise.resolve(foreign));
    const event = avsc.Type.forSchema(JSON.parse(newest) as avsc.Schema).random() as object;
    assert.equal(JSON.stringify(await reader.decode(writer.encode(event))), JSON.stringify(event));
  });
}

test('names are compared without their namespace wherever they stand, and with it where two would be one', () => {
  const nested = (namespace: string) => `{"type":"record","name":"E","namespace":"${namespace}","fields":[
    {"name":"a","type":{"type":"record","name":"${namespace}.In","fields":[{"name":"n","type":"long"}]}},
    {"name":"b","type":["null","${namespace}.In"]},{"name":"c","type":{"type":"array","items":"In"}}]}`;
  assert.equal(incompatibility(nested('x.y'), nested('z')), undefined);
  const two = `{"type":"record","name":"E","fields":[
    {"name":"a","type":{"type":"record","name":"x.In","fields":[]}},
    {"name":"b","type":{"type":"record","name":"y.In","fields":[{"name":"n","type":"long"}]}}]}`;
  assert.equal(incompatibility(two, two), undefined);
  const other = V1.replace('"Event"', '"Incident"');
  assert.notEqual(incompatibility(V1, other), undefined);
});

test('a map has every key that was written, also those that objects have by themselves', () => {
  const schema = '{"type":"record","name":"E","fields":[{"name":"labels","type":{"type":"map","values":"string"}}]}';
  const codec = new AvroCodec<{ labels: Record<string, string> }>(schema, 1, unasked);
  const labels = JSON.parse('{"__proto__":"a","constructor":"b","toString":"c","x":"d"}') as Record<string, string>;
  assert.deepEqual(Object.entries(codec.decodeKnown(codec.encode({ labels }))!.labels), Object.entries(labels));
});

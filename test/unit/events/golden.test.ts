import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { AvroCodec } from '../../../services/lib/avro.js';
import { ROOT } from '../../../services/lib/root.js';

/** As test/golden/make.py writes it with fastavro, which is none of ours. */
interface GoldenRecord {
  readonly subject: string;
  readonly version: number;
  readonly value: Record<string, unknown>;
  readonly hex: string;
}

const RECORDS = JSON.parse(readFileSync(join(ROOT, 'test', 'golden', 'records.json'), 'utf8')) as GoldenRecord[];

const folderOf = (subject: string) => join(ROOT, 'schemas', subject);
const schemaOf = (subject: string, version: number) =>
  readFileSync(join(folderOf(subject), `v${version}.avsc`), 'utf8');
const subjects = readdirSync(join(ROOT, 'schemas'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
const versionsOf = (subject: string) =>
  readdirSync(folderOf(subject))
    .map((file) => Number(/^v(\d+)\.avsc$/.exec(file)?.[1]))
    .filter((version) => version > 0);

const unasked = () => Promise.reject(new Error('the registry was asked'));
const codecOf = (subject: string, version: number) =>
  new AvroCodec<Record<string, unknown>>(schemaOf(subject, version), version, unasked);

/** Without avsc's classes; a key `__proto__` stays a key. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

for (const { name: subject } of subjects) {
  for (const version of versionsOf(subject)) {
    const records = RECORDS.filter((record) => record.subject === subject && record.version === version);

    test(`${subject} v${version}: what fastavro wrote is read, and written the same`, () => {
      assert.ok(records.length > 0, 'there is no record of it; run: python3 test/golden/make.py');
      const codec = codecOf(subject, version);
      for (const { value, hex } of records) {
        const header = Buffer.from([0, 0, 0, 0, version]);
        const bytes = Buffer.concat([header, Buffer.from(hex, 'hex')]);
        assert.deepEqual(plain(codec.decodeKnown(bytes)), value);
        assert.equal(codec.encode(value).toString('hex'), bytes.toString('hex'));
      }
    });

    test(`${subject} v${version}: what fastavro wrote is read by every other version`, async () => {
      for (const reading of versionsOf(subject)) {
        const schema = schemaOf(subject, reading);
        const codec = new AvroCodec<Record<string, unknown>>(schema, 100, () =>
          Promise.resolve(schemaOf(subject, version)),
        );
        const { fields } = JSON.parse(schema) as { fields: { name: string; default?: unknown }[] };
        for (const { value, hex } of records) {
          const read = await codec.decode(Buffer.concat([Buffer.from([0, 0, 0, 0, version]), Buffer.from(hex, 'hex')]));
          for (const { name, default: standard } of fields)
            assert.deepEqual(plain(read[name]), Object.hasOwn(value, name) ? value[name] : standard, name);
        }
      }
    });
  }
}

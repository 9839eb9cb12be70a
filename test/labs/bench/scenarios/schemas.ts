import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { AvroCodec } from '../../../../services/lib/avro.js';
import { silentLogger } from '../../../../services/lib/logging.js';
import { RegistryClient } from '../../../../services/lib/registry/client.js';
import { ROOT } from '../../../../services/lib/root.js';
import type { Bench, Scenario } from '../../frame/bench.js';
import type { Figures, Limit } from '../../frame/figures.js';
import { median } from '../../frame/statistics.js';

const NAME = 'schemas';
const BARE: Limit = { kind: 'bound', at: 'most', value: 1.15 };
const OLDER: Limit = { kind: 'bound', at: 'most', value: 1.5 };
const READY: Limit = { kind: 'bound', at: 'most', value: 2000 };
/** Schemas of others in the registry, and how many are registered at a time. */
const OTHERS = 1000;
const TOGETHER = 20;
/** One slice of a measurement takes some 5 ms; what is compared takes turns. */
const SLICE = 5000;
const SLICES = 40;

interface Golden {
  readonly subject: string;
  readonly version: number;
  readonly value: object;
  readonly hex: string;
}

/** What of avsc is compared. */
interface BareType {
  toBuffer(value: object): Buffer;
  fromBuffer(bytes: Buffer): object;
}

/** What encoding and reading take against bare avsc, and a start beside 1,000 schemas of others. */
export const schemas: Scenario = {
  name: NAME,
  async run(bench: Bench, figures: Figures) {
    const events = ordinaryEvents();
    await bench.rounds('records', async () => {
      const said: string[] = [];
      for (const event of events) said.push(await compare(event, figures));
      return said.join('; ');
    });
    const first = await bench.deploy(NAME);
    const registry = first.environment['SCHEMA_REGISTRY_URL']!;
    await fill(registry);
    // Registers ours and makes the tables.
    await first.start('alert-api');
    await bench.finish(first, figures);
    await bench.rounds(`start beside ${OTHERS} schemas`, async (round) => {
      const deployment = bench.deployOn(`${NAME}-${round}`, first.environment);
      await deployment.start('alert-api');
      const { readyMs } = deployment.roles.get('alert-api')!;
      figures.add(NAME, `alert-api until it is ready, beside ${OTHERS} schemas`, 'ms', readyMs, READY);
      await bench.finish(deployment, figures);
      return `${Math.round(readyMs)} ms`;
    });
  },
};

/** Of each subject the first golden record of its newest version, and its bytes as each version before wrote them. */
function ordinaryEvents() {
  const golden = JSON.parse(readFileSync(join(ROOT, 'test', 'golden', 'records.json'), 'utf8')) as Golden[];
  const bare = bareAvsc();
  return [...new Set(golden.map(({ subject }) => subject))].map((subject) => {
    const versions = readdirSync(join(ROOT, 'schemas', subject)).length;
    const schemaOf = (version: number) => readFileSync(join(ROOT, 'schemas', subject, `v${version}.avsc`), 'utf8');
    const of = (wanted: number) => golden.find((each) => each.subject === subject && each.version === wanted)!;
    const codec = new AvroCodec<object>(schemaOf(versions), versions, (id) => Promise.resolve(schemaOf(id)));
    const bytesOf = ({ version, hex }: Golden) =>
      Buffer.concat([Buffer.from([0, 0, 0, 0, version]), Buffer.from(hex, 'hex')]);
    const type = bare.Type.forSchema(JSON.parse(schemaOf(versions)));
    const old = Array.from({ length: versions - 1 }, (_, index) => bytesOf(of(index + 1)));
    return { subject, codec, type, value: of(versions).value, bytes: bytesOf(of(versions)), old };
  });
}

type Event = ReturnType<typeof ordinaryEvents>[number];

/** Loaded anew: the service's own copy reads lists and maps in the service's way, and would be held against itself. */
function bareAvsc(): { Type: { forSchema(schema: unknown): BareType } } {
  const require = createRequire(import.meta.url);
  const of = (file: string) => file.includes('/node_modules/avsc/');
  const kept = Object.entries(require.cache).filter(([file]) => of(file));
  for (const [file] of kept) Reflect.deleteProperty(require.cache, file);
  const bare = require('avsc') as { Type: { forSchema(schema: unknown): BareType } };
  for (const [file, module] of kept) require.cache[file] = module;
  return bare;
}

async function compare({ subject, codec, type, value, bytes, old }: Event, figures: Figures): Promise<string> {
  // What wrote them is asked for once.
  for (const each of old) await codec.decode(each);
  const body = bytes.subarray(5);
  const encoding = ratio(
    () => codec.encode(value),
    () => type.toBuffer(value),
  );
  const decoding = ratio(
    () => codec.decodeKnown(bytes),
    () => type.fromBuffer(body),
  );
  const olders = old.map((each) =>
    ratio(
      () => codec.decodeKnown(each),
      () => codec.decodeKnown(bytes),
    ),
  );
  const older = olders.reduce((worst, each) => (each.ratio > worst.ratio ? each : worst));
  figures.add(NAME, `${subject}: encoding, of bare avsc's time`, '', encoding.ratio, BARE);
  figures.add(NAME, `${subject}: decoding, of bare avsc's time`, '', decoding.ratio, BARE);
  figures.add(NAME, `${subject}: reading an older version, of the current one's time`, '', older.ratio, OLDER);
  figures.add(NAME, `${subject}: encoding`, 'us', encoding.us);
  figures.add(NAME, `${subject}: decoding`, 'us', decoding.us);
  return `${subject} ${[encoding, decoding, older].map((each) => each.ratio.toFixed(2)).join(', ')}`;
}

/** How one's time relates to the other's: the median of slices that take turns, and the first one's microseconds. */
function ratio(one: () => unknown, other: () => unknown): { ratio: number; us: number } {
  const times = { one: [] as number[], other: [] as number[] };
  for (let slice = 0; slice < SLICES; slice += 1) {
    const isFirst = slice % 2 === 0;
    const order = isFirst ? (['one', 'other'] as const) : (['other', 'one'] as const);
    for (const which of order) times[which].push(timed(which === 'one' ? one : other));
  }
  // While it is compiled it is slow.
  const settled = (all: number[]) => median(all.slice(SLICES / 4));
  const us = (settled(times.one) / SLICE) * 1000;
  return { us, ratio: settled(times.one) / settled(times.other) };
}

function timed(work: () => unknown): number {
  const since = performance.now();
  for (let count = 0; count < SLICE; count += 1) work();
  return performance.now() - since;
}

async function fill(url: string): Promise<void> {
  const client = new RegistryClient({ url, username: '', password: '' }, silentLogger());
  const one = (index: number) => {
    const fields = [{ name: `f${index}`, type: 'long' }];
    return client.register(`other-${index}-value`, JSON.stringify({ type: 'record', name: 'Other', fields }));
  };
  for (let from = 0; from < OTHERS; from += TOGETHER)
    await Promise.all(Array.from({ length: TOGETHER }, (_, index) => one(from + index)));
  client.breaker.close();
}

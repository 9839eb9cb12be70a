import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { pino } from 'pino';
import { RegistryClient } from '../../../../services/lib/registry/client.js';
import { startEmbeddedRegistry } from '../../../../services/lib/registry/embedded.js';
import { SchemaCache } from '../../../../services/lib/registry/schema-cache.js';
import { temporaryFolder } from '../../../support/cleanup.js';
import { defer } from '../../../support/defer.js';

const SCHEMA = '{"type":"record","name":"E","fields":[{"name":"id","type":"long"}]}';
const OTHER = '{"type":"record","name":"E","fields":[]}';
const HERE = 'http://registry:8081';

function setUp(t: TestContext) {
  const folder = temporaryFolder();
  defer(t, () => folder.remove());
  const lines: string[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(line) });
  const path = join(folder.path, 'schemas');
  return { path, lines, logger, cache: (registry = HERE) => new SchemaCache(path, registry, logger) };
}

test('what was kept is there for another process, and nothing else', async (t) => {
  const { path, lines, cache } = setUp(t);
  const first = cache();
  await first.keep({ id: 7, schema: SCHEMA });
  await first.keep({ subject: 's-value', id: 9, schema: SCHEMA });
  const second = cache();
  assert.equal(await second.schemaOf(7), SCHEMA);
  assert.equal(await second.idOf('s-value', SCHEMA), 9);
  assert.equal(await second.schemaOf(9), undefined);
  assert.equal(await second.idOf('t-value', SCHEMA), undefined);
  assert.equal(await second.idOf('s-value', OTHER), undefined);
  assert.deepEqual(lines, []);
  assert.ok(
    readdirSync(path).every((name) => /^(id|ours)-[0-9a-f]+\.json$/.test(name)),
    String(readdirSync(path)),
  );
});

test('a file that is cut short, changed, or of another registry is as if it were not there, and named once', async (t) => {
  const { path, lines, cache } = setUp(t);
  await cache().keep({ id: 7, schema: SCHEMA });
  const file = join(path, 'id-7.json');
  const whole = readFileSync(file, 'utf8');
  const wrong: [string, RegExp][] = [
    ['', /it is cut short/],
    [whole.slice(0, 40), /it is cut short/],
    [whole.slice(0, -1), /its hash is another/],
    [whole.replace('long', 'bool'), /its hash is another/],
    [whole.replace('"id":7', '"id":8'), /its hash is another/],
    ['null', /is not used/],
    ['{"registry":"http://registry:8081"}', /its hash is another/],
    ['x'.repeat(2_000_000), /it is no file of a schema/],
  ];
  for (const [text, reason] of wrong) {
    writeFileSync(file, text);
    lines.length = 0;
    const reader = cache();
    for (let times = 0; times < 3; times += 1) assert.equal(await reader.schemaOf(7), undefined, text.slice(0, 50));
    assert.equal(lines.length, 1);
    assert.match(lines[0]!, reason);
  }
  writeFileSync(file, whole);
  lines.length = 0;
  assert.equal(await cache('http://elsewhere:8081').schemaOf(7), undefined);
  assert.match(lines.join(''), /it is of the registry at http:\/\/registry:8081; it is written anew/);
  assert.equal(await cache().schemaOf(7), SCHEMA);
  // Whoever copies a file to another name has no other schema.
  writeFileSync(join(path, 'id-8.json'), whole);
  assert.equal(await cache().schemaOf(8), undefined);
});

test('it is bounded, and the newest stay', async (t) => {
  const { path, cache } = setUp(t);
  const filled = cache();
  for (let id = 0; id < 250; id += 1) await filled.keep({ id, schema: SCHEMA });
  assert.equal(readdirSync(path).length, 200);
  assert.equal(await filled.schemaOf(249), SCHEMA);
});

test('a folder that cannot be written to, and one that is none, harm nobody', async (t) => {
  const { path, lines, cache } = setUp(t);
  writeFileSync(path, 'a file');
  const useless = cache();
  for (const id of [1, 2]) await useless.keep({ id, schema: SCHEMA });
  assert.equal(await useless.schemaOf(1), undefined);
  assert.match(lines.join(''), /schemas cannot be kept in .*SCHEMA_REGISTRY_CACHE_DIR/);
});

test('a client reads from it while the registry is away, and takes what the registry says when it is there', async (t) => {
  const { path, lines, logger } = setUp(t);
  const clientOf = (url: string) => {
    const client = new RegistryClient({ url, username: '', password: '', cacheDir: path }, logger);
    defer(t, () => client.breaker.close());
    return client;
  };
  const registry = await startEmbeddedRegistry(0);
  const before = clientOf(registry.url);
  const id = await before.register('s-value', SCHEMA);
  await assert.rejects(before.findKnown('s-value', OTHER), { status: 404 });
  assert.equal(await before.findKnown('s-value', SCHEMA), id);
  assert.equal(await before.schemaById(id), SCHEMA);
  await registry.close();
  const after = clientOf(registry.url);
  assert.equal(await after.findKnown('s-value', SCHEMA), id);
  assert.match(lines.join(''), /the schema registry is away: the id of a schema is the one in the cache on disk/);
  assert.equal(await after.schemaById(id), SCHEMA);
  await assert.rejects(after.schemaById(id + 1), { name: 'RegistryUnavailable' });
  await assert.rejects(after.find('s-value', SCHEMA), { name: 'RegistryUnavailable' });
  // It comes back as another one.
  const port = Number(new URL(registry.url).port);
  const next = await startEmbeddedRegistry(port);
  defer(t, () => next.close());
  const filler = clientOf(next.url);
  await filler.register('s-value', OTHER);
  assert.equal(await clientOf(next.url).schemaById(id), OTHER);
  assert.match(lines.join(''), /another schema under an id than before/);
  const kept = JSON.parse(readFileSync(join(path, `id-${id}.json`), 'utf8')) as { schema: string };
  assert.equal(kept.schema, OTHER);
});

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import protobuf from 'protobufjs';
import { readFilter } from '../../../services/api/filter.js';
import { type Bound, BOUNDS, Violations } from '../../../services/api/violations.js';
import { ROOT } from '../../../services/lib/root.js';
import { failureOf, type Method } from '../../support/api.js';
import { storeDirectory } from '../../support/directory.js';
import { startTestCluster } from '../../support/in-process.js';
import { collectStream } from '../../support/stream.js';

const FOLDER = join(ROOT, 'proto', 'ssom', 'alert', 'v1');
const bounds: Readonly<Record<string, Bound>> = BOUNDS;

/** The proto files, with their comments and their own spelling. */
function protoFiles(): protobuf.Namespace {
  const root = new protobuf.Root();
  for (const file of readdirSync(FOLDER))
    protobuf.parse(readFileSync(join(FOLDER, file), 'utf8'), root, { keepCase: true, alternateCommentMode: true });
  const timestamps = { seconds: { type: 'int64', id: 1 }, nanos: { type: 'int32', id: 2 } };
  root.define('google.protobuf').addJSON({ Timestamp: { fields: timestamps }, Duration: { fields: timestamps } });
  root.resolveAll();
  return root.lookup('ssom.alert.v1') as protobuf.Namespace;
}

const isRepeated = (field: protobuf.Field) => field.repeated || field.map;

/** A repeated field of a request, and how a request is made with so many items of it. */
interface Place {
  readonly method: string;
  /** MessageName.field_name */
  readonly key: string;
  readonly path: string;
  readonly request: (items: number) => object;
}

function* placesIn(
  type: protobuf.Type,
  method: string,
  path: string,
  wrap: (inner: object) => object,
): Generator<Place, void, undefined> {
  for (const field of type.fieldsArray) {
    const name = field.name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
    const inner = field.resolvedType instanceof protobuf.Type ? field.resolvedType : undefined;
    if (isRepeated(field)) {
      const request = (items: number) => wrap({ [name]: field.map ? pairs(items) : list(items, field) });
      yield { method, key: `${type.name}.${field.name}`, path: `${path}${field.name}`, request };
    } else if (inner !== undefined && inner.name !== 'Timestamp' && inner.name !== 'Duration') {
      yield* placesIn(inner, method, `${path}${field.name}.`, (object) => wrap({ [name]: object }));
    }
  }
}

const pairs = (items: number) => Object.fromEntries(Array.from({ length: items }, (_, index) => [`k${index}`, 'v']));

function list(items: number, { type, resolvedType }: protobuf.Field): unknown[] {
  const item = (index: number) => (resolvedType instanceof protobuf.Type ? {} : type === 'string' ? `x${index}` : 1);
  return Array.from({ length: items }, (_, index) => item(index));
}

test('every repeated field has a bound in its comment, and every one of a request is refused beyond it', async (t) => {
  const api = protoFiles();
  const types = api.nestedArray.filter((each) => each instanceof protobuf.Type);
  const services = api.nestedArray.filter((each) => each instanceof protobuf.Service);
  const repeated = types.flatMap((type) => type.fieldsArray.filter(isRepeated).map((field) => ({ type, field })));
  assert.ok(repeated.length > 20, 'the proto files were not read');
  const places = services.flatMap(({ methodsArray }) =>
    methodsArray.flatMap(({ name, requestType }) => [...placesIn(api.lookupType(requestType), name, '', (o) => o)]),
  );
  const ofRequests = new Set(places.map(({ key }) => key));

  for (const { type, field } of repeated) {
    const key = `${type.name}.${field.name}`;
    const said =
      /(?:at most|\bto) (?:some )?([\d,]*\d)/i.exec(field.comment ?? '')?.[1] ??
      /at most page_size/.exec(field.comment ?? '')?.[0];
    assert.ok(said !== undefined, `${key}: its comment says no bound (at most N, or 1 to N)`);
    if (!ofRequests.has(key)) continue;
    assert.ok(key in bounds, `${key}: BOUNDS in api/violations.ts does not have it`);
    assert.equal(Number(said.replace(',', '')), bounds[key]!.max, `${key}: the comment and BOUNDS differ`);
  }
  assert.deepEqual(Object.keys(bounds).sort(), [...ofRequests].sort());

  const cluster = await startTestCluster(t);
  await storeDirectory(cluster.store.database);
  const alertApi = cluster.api(await cluster.start('alert-api'));
  const gateway = cluster.api(await cluster.start('stream-gateway'));
  for (const { method, key, path, request } of places) {
    const tooMany = request(bounds[key]!.max + 1);
    const owner = ['ListInbox', 'MarkRead', 'MarkUnread', 'DeleteFromInbox'].includes(method) ? { userId: 'op1' } : {};
    const refusal =
      method === 'StreamAlerts'
        ? await collectStream(t, gateway, { user: 'op1' }, tooMany).untilRefused()
        : await failureOf(alertApi.call(method as Method, { ...owner, ...tooMany }));
    assert.equal(refusal.code, 'INVALID_ARGUMENT', `${method} ${path}: ${refusal.message}`);
    assert.ok(refusal.fields.includes(path), `${method}: ${path} is not among ${refusal.fields.join(', ')}`);
  }
});

test('a kind that is named a hundred times is looked for once', () => {
  const kinds = Array.from({ length: 100 }, () => 'ALERT_KIND_GRAFANA');
  assert.deepEqual(readFilter(new Violations(), kinds, 'ALERT_LEVEL_UNSPECIFIED', BOUNDS['StreamFilter.kinds']).kinds, [
    'GRAFANA',
  ]);
});

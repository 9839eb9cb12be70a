import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import type { Identity } from '../../../../services/lib/grpc/identity.js';
import { defer } from '../../../support/defer.js';
import { limitsOf } from '../../../support/limits.js';

async function fileWith(t: TestContext, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ssom-limits-'));
  defer(t, () => rm(folder, { recursive: true }));
  const file = join(folder, 'limits.json');
  await writeFile(file, text);
  return file;
}

const as = (kind: Identity['kind'], subject: string): Identity => ({
  kind,
  subject,
  scopes: new Set(),
  credential: 'dev',
});

test('a file gives some callers other limits; a service and a user of one name are two', async (t) => {
  const file = await fileWith(t, '{ "services": { "payments": { "alertsPerS": 7, "calls": 3 } }, "users": {} }');
  const limits = limitsOf({ alertsPerS: 100, calls: 50 }, 1000, file);
  assert.deepEqual([limits.of('service payments').alertsPerS, limits.of('service payments').calls], [7, 3]);
  assert.equal(limits.of('user payments').alertsPerS, 100);
  assert.equal(limits.take(as('service', 'payments'), { alerts: 7 }), undefined);
  assert.equal(limits.take(as('service', 'payments'), { alerts: 1 })!.reason, 'RATE_LIMITED');
  assert.equal(limits.take(as('user', 'payments'), { alerts: 8 }), undefined);
  assert.deepEqual(
    [...limits.refusals],
    [
      ['requests', 0],
      ['alerts', 1],
      ['recipients', 0],
    ],
  );
});

test('of two rates nothing is taken if one of them refuses', async () => {
  const limits = limitsOf({ alertsPerS: 10, recipientsPerS: 10 });
  const one = as('service', 'one');
  assert.equal(limits.take(one, { recipients: 10 }), undefined);
  for (let count = 0; count < 20; count += 1)
    assert.equal(limits.take(one, { alerts: 1, recipients: 1 })!.metadata['limit'], 'recipients_per_s');
  assert.equal(limits.take(one, { alerts: 10 }), undefined);
});

test('what is wrong with the file is said with its name', async (t) => {
  const wrong: [string, RegExp][] = [
    ['', /limits\.json': Unexpected end of JSON input/],
    ['[]', /limits\.json': it is no JSON object/],
    ['{ "payments": {} }', /it has the field 'payments'; there are services, users/],
    [
      '{ "services": { "payments": { "alerts": 7 } } }',
      /services\.payments has the field 'alerts'; there are requestsPerS/,
    ],
    [
      '{ "services": { "payments": { "calls": -1 } } }',
      /services\.payments\.calls must be a whole number from 1, not -1/,
    ],
    ['{ "users": { "op01": { "streams": 0 } } }', /users\.op01\.streams must be a whole number from 1, not 0/],
    ['{ "users": { "op01": { "alertsPerS": -1 } } }', /must be a whole number from 0, not -1/],
    ['{ "services": { "payments": { "calls": "7" } } }', /must be a whole number from 1, not "7"/],
    ['{ "users": { "a\\n": {} } }', /is no name of 1 to 128 printable ASCII/],
    ['{ "services": 7 }', /services is no JSON object/],
  ];
  const refused = (file: string, message: RegExp) => assert.throws(() => limitsOf({}, 1000, file), message);
  for (const [text, message] of wrong) refused(await fileWith(t, text), message);
  refused(await fileWith(t, ' '.repeat(1_048_577)), /more than 1048576 bytes and is no file of settings/);
  refused(join(tmpdir(), 'no-such-file'), /no-such-file' cannot be read \(ENOENT\): there is none/);
});

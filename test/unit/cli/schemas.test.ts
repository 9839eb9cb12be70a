import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { main } from '../../../services/cli/cli.js';
import { checkSchemas } from '../../../services/events/schemas/check.js';
import { schemaText } from '../../../services/events/schemas/text.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { RegistryClient } from '../../../services/lib/registry/client.js';
import { startEmbeddedRegistry } from '../../../services/lib/registry/embedded.js';
import { defer } from '../../support/defer.js';
import { schemaFolder } from '../../support/schema-folder.js';
import { fakeContext } from './fake-context.js';

const SUBJECT = 'user-alert-topic-value';
const note = (name: string, type = 'string', byDefault: unknown = '') => ({
  name,
  type,
  default: byDefault,
  doc: `What ${name} says; empty or 0: nothing.`,
});

async function registryFor(t: TestContext) {
  const server = await startEmbeddedRegistry(0);
  defer(t, () => server.close());
  const { url } = server;
  return { url, client: new RegistryClient({ url, username: '', password: '' }, silentLogger()) };
}

async function schemas(...args: string[]) {
  const context = fakeContext();
  const code = await main(['schemas', ...args], context);
  return { code, out: context.out(), err: context.err() };
}

test('check says what is wrong where and what would be right, for people and for programs', async (t) => {
  const folder = schemaFolder(t);
  const sound = await schemas('check', '--schemas', folder.path);
  assert.deepEqual([sound.code, sound.out], [0, '']);
  assert.match(sound.err, /^11 versions of 3 subjects: all read each other$/m);
  folder.next([{ name: 'note', type: 'string', doc: 'A note.' }]);
  const wrong = await schemas('check', '--schemas', folder.path);
  assert.equal(wrong.code, 1);
  assert.match(
    wrong.out,
    /^user-alert-topic-value\/v4\.avsc: note is new since v3 and has no default.*\n {2}give it a "default"/,
  );
  const { out } = await schemas('check', '--json', '--schemas', folder.path);
  const { file, field } = JSON.parse(out) as { file: string; field: string };
  assert.deepEqual([file, field], [`${SUBJECT}/v4.avsc`, 'note']);
});

test('register is idempotent and sets the level; list tells where registry and files differ', async (t) => {
  const { url, client } = await registryFor(t);
  const folder = schemaFolder(t);
  const register = () => schemas('register', '--registry', url, '--schemas', folder.path);
  const first = await register();
  assert.equal(first.code, 0, first.err);
  assert.deepEqual(await register(), first);
  assert.equal(await client.compatibility(SUBJECT), 'FULL_TRANSITIVE');
  folder.next([note('note')]);
  await client.register(SUBJECT, JSON.stringify({ ...folder.read(`${SUBJECT}/v1.avsc`), doc: 'Theirs.' }));
  const { out } = await schemas('list', '--registry', url, '--schemas', folder.path);
  const lines = out.slice(out.indexOf(SUBJECT)).split('\n');
  assert.match(lines[1]!, /^ {2}v1 {2}id \d+ {2}registered$/);
  assert.match(lines[4]!, /^ {2}v4 {2}not registered {2}written$/);
  assert.match(lines[5]!, /^ {2}registry version 4 {2}id \d+ {2}not among the files$/);
  const json = await schemas('list', '--json', '--registry', url, '--schemas', folder.path);
  const listed = json.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { state: string; version: number | null });
  assert.equal(listed.filter(({ state }) => state === 'not registered').length, 1);
  assert.equal(listed.filter(({ version }) => version === null).length, 1);
});

test('what check refuses is not registered, and nothing else is', async (t) => {
  const { url, client } = await registryFor(t);
  const bad = {
    'no JSON': '{',
    'no Avro': '{"type": "record", "name": "E", "fields": [{"name": "a", "type": "b"}]}',
    'a megabyte': `"${'x'.repeat(1_048_576)}"`,
  };
  for (const [what, content] of Object.entries(bad)) {
    const folder = schemaFolder(t);
    folder.write(`${SUBJECT}/v4.avsc`, content);
    const { code, err } = await schemas('register', '--registry', url, '--schemas', folder.path);
    assert.equal(code, 1, what);
    assert.match(err, /nothing was registered:\n {2}user-alert-topic-value\/v4\.avsc: /, what);
    assert.deepEqual(await client.subjects(), [], what);
  }
});

test('what the registry would not take is refused before anything is registered', async (t) => {
  const { url, client } = await registryFor(t);
  const folder = schemaFolder(t);
  // Of another namespace, so it is no version of ours that came first.
  const theirs = { ...folder.read(`${SUBJECT}/v1.avsc`), namespace: 'theirs' };
  await client.register(SUBJECT, JSON.stringify({ ...theirs, fields: [...theirs.fields, note('epoch')] }));
  for (const command of ['check', 'register']) {
    const { code, out, err } = await schemas(command, '--registry', url, '--schemas', folder.path);
    assert.equal(code, 1, command);
    assert.match(out + err, /user-alert-topic-value\/v2\.avsc: is not compatible with what the registry has/);
    assert.deepEqual(await client.subjects(), [SUBJECT], command);
  }
});

test('of two who register different versions at once, one wins and the other is told', async (t) => {
  const compatible = [note('mine'), note('yours')];
  const incompatible = [note('ours'), note('ours', 'long', 0)];
  for (const fields of [compatible, incompatible]) {
    const { url } = await registryFor(t);
    assert.equal((await schemas('register', '--registry', url)).code, 0);
    const results = await Promise.all(
      fields.map((field) => {
        const folder = schemaFolder(t);
        folder.next([field]);
        return schemas('register', '--registry', url, '--schemas', folder.path);
      }),
    );
    assert.deepEqual(results.map(({ code }) => code).sort(), [0, 1], JSON.stringify(results));
    const { err } = results.find(({ code }) => code === 1)!;
    assert.match(
      err,
      /v4\.avsc: (comes second: somebody registered version 4|is not compatible with what the registry has)/,
    );
    assert.match(err, /give yours the next one/);
  }
});

test('who comes later is refused with nothing registered', async (t) => {
  const { url, client } = await registryFor(t);
  const [early, late] = [schemaFolder(t), schemaFolder(t)];
  early.next([note('mine')]);
  late.next([note('yours')]);
  assert.equal((await schemas('register', '--registry', url, '--schemas', early.path)).code, 0);
  const { code, err } = await schemas('register', '--registry', url, '--schemas', late.path);
  assert.equal(code, 1);
  assert.match(
    err,
    /comes second: somebody registered version 4 of user-alert-topic-value \(id \d+\) first, with mine\n/,
  );
  assert.equal((await client.versions(SUBJECT)).length, 4);
  // The release before has no version of its own to add: it may go on.
  assert.equal((await schemas('register', '--registry', url)).code, 0);
});

test('new writes the next version as the format check wants it, and diff says what differs', async (t) => {
  const folder = schemaFolder(t);
  const at = ['--schemas', folder.path];
  const made = await schemas('new', SUBJECT, '--add-field', JSON.stringify(note('note')), ...at);
  assert.deepEqual([made.code, made.out], [0, `schemas/${SUBJECT}/v4.avsc\n`]);
  assert.match(made.err, /next: ssom-alert schemas check/);
  const { out } = await schemas('diff', SUBJECT, ...at);
  assert.equal(out, 'added    note  string, by default "": What note says; empty or 0: nothing.\n');
  const gone = await schemas('new', SUBJECT, '--remove-field', 'note', ...at);
  assert.equal(gone.code, 0);
  assert.match((await schemas('diff', SUBJECT, 'v4', 'v5', ...at)).out, /^removed {2}note {2}string/);
  const symbol = await schemas('new', 'alert-created-topic-value', '--add-symbol', 'AlertKind=PAGERDUTY', ...at);
  assert.equal(symbol.code, 0);
  assert.match(
    (await schemas('diff', 'alert-created-topic-value', ...at)).out,
    /new symbols: PAGERDUTY; OTHER to older readers/,
  );
  const event = await schemas(
    'new',
    'alert-closed-topic-value',
    '--record',
    'AlertClosedEvent',
    '--doc',
    'An alert was closed. Key: alertId.',
    ...at,
  );
  assert.equal(event.code, 0);
  assert.match(event.err, /needs its topic/);
  assert.deepEqual(checkSchemas(folder.path).problems, []);
});

test('new keeps the form that our files have', () => {
  for (const file of ['alert-created-topic-value/v5', 'inbox-change-topic-value/v3', 'user-alert-topic-value/v3']) {
    const text = readFileSync(join('schemas', `${file}.avsc`), 'utf8');
    assert.equal(schemaText(JSON.parse(text) as never), text);
  }
});

test('new and diff refuse what there is not', async (t) => {
  const at = ['--schemas', schemaFolder(t).path];
  for (const [args, why] of [
    [['new', 'other-value'], /give --record NAME and --doc TEXT/],
    [['new', SUBJECT, '--remove-field', 'none'], /UserAlertEvent has no field none/],
    [['new', SUBJECT, '--add-symbol', 'Kind=A'], /UserAlertEvent has no enum Kind/],
    [['new', SUBJECT, '--add-field', 'note'], /--add-field 'note' is wrong\. It must be JSON such as/],
    [['new', SUBJECT, '--told-by', 'a'], /go together/],
    [['new', '../escaped-value'], /must be a topic's name/],
    [['diff', 'other-value'], /there is no subject 'other-value'; there are alert-created/],
    [['diff', SUBJECT, '1', '9'], /has the versions 1 to 3, not both 1 and 9/],
    [['register'], /give --registry URL/],
  ] as const) {
    const { code, err } = await schemas(...args, ...at);
    assert.equal(code, 2, err);
    assert.match(err, why);
  }
});

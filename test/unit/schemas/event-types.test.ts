import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test, { type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { AlertCreatedEvent, UserAlertEvent } from '../../../services/events/event-types.js';
import { defer } from '../../support/defer.js';
import { schemaFolder } from '../../support/schema-folder.js';

// What the compiler of this very file holds us to.
export const read = ({ epoch, namedRecipients }: AlertCreatedEvent): [number, string[] | undefined] => [
  epoch,
  namedRecipients === null ? undefined : [...namedRecipients.userIds],
];
// @ts-expect-error a writer has to give what is new since a version, or readers take the default for the truth
export const forgot: UserAlertEvent = { alertId: 1, userId: 'op1' };
// @ts-expect-error no version has it
export const unknown = ({ invented }: UserAlertEvent): unknown => invented;

type Generator = { eventTypes: (folder: string) => string };
const generator = () => import(pathToFileURL(resolve('schemas/generate-types.mjs')).href) as Promise<Generator>;

/** What TypeScript says of a program that reads a record of these schemas. */
async function compile(t: TestContext, schemas: string, program: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'ssom-compile-'));
  defer(t, () => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'events.ts'), (await generator()).eventTypes(schemas));
  writeFileSync(join(folder, 'program.ts'), `import type { UserAlertEvent } from './events.js';\n${program}`);
  const tsc = resolve('node_modules/typescript/bin/tsc');
  const options = ['--strict', '--noEmit', '--target', 'ES2023', '--module', 'NodeNext', '--skipLibCheck'];
  return new Promise((done) =>
    execFile(process.execPath, [tsc, ...options, 'program.ts'], { cwd: folder }, (_, output) => done(output)),
  );
}

const READS = 'export const shout = (event: UserAlertEvent): string => event.note.toUpperCase();\n';

test('a field of a later version is read as what it is if it has a default, and not otherwise', async (t) => {
  const note = { name: 'note', type: 'string', doc: 'A note; empty: none.' };
  const [given, bare] = [schemaFolder(t), schemaFolder(t)];
  given.next([{ ...note, default: '' }]);
  bare.next([note]);
  assert.equal(await compile(t, given.path, READS), '');
  // As Avro has it a record of before has no such field, and `schemas check` refuses the version for it.
  assert.match(await compile(t, bare.path, READS), /program\.ts.*'event\.note' is possibly 'undefined'/);
  assert.equal(await compile(t, bare.path, READS.replace('event.note', "(event.note ?? '')")), '');
});

test('a field that the newest version lacks is not there', async (t) => {
  const schemas = schemaFolder(t);
  schemas.next([{ name: 'note', type: 'string', default: '', doc: 'A note; empty: none.' }]);
  schemas.write('user-alert-topic-value/v5.avsc', schemas.read('user-alert-topic-value/v3.avsc'));
  assert.match(await compile(t, schemas.path, READS), /Property 'note' does not exist on type 'UserAlertEvent'/);
});

test('docs say since when a field is there, and what it is in records of before', async () => {
  const { eventTypes } = await generator();
  const text = eventTypes('schemas');
  assert.match(text, /0: not known\. Since v4; 0 in records of before\. \*\/\n {2}readonly epoch: number;/);
  assert.equal(text, readFileSync('services/gen/events.ts', 'utf8'));
});

test('a type that two subjects have must be one', async (t) => {
  const schemas = schemaFolder(t);
  const mood = (...symbols: string[]) => ({
    name: 'alertKind',
    type: { type: 'enum', name: 'AlertKind', symbols, default: 'OTHER' },
    default: 'OTHER',
  });
  schemas.next([mood('OTHER')]);
  const { eventTypes } = await generator();
  assert.throws(
    () => eventTypes(schemas.path),
    /user-alert-topic-value\/v4\.avsc: AlertKind is another type in another subject/,
  );
  mkdirSync(join(schemas.path, 'empty-value'));
  cpSync(join(schemas.path, 'user-alert-topic-value/v3.avsc'), join(schemas.path, 'user-alert-topic-value/v4.avsc'));
  assert.equal(eventTypes(schemas.path).includes('undefined'), false);
});

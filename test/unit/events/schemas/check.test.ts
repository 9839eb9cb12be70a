import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { checkSchemas } from '../../../../services/events/schemas/check.js';
import { schemaFolder, type SchemaFolderCopy } from '../../../support/schema-folder.js';

const NEXT = 'user-alert-topic-value/v4.avsc';
const NOTE = { name: 'note', type: 'string', default: '', doc: 'What a person added; empty: nothing.' };
const NEWEST = 'user-alert-topic-value/v3.avsc';

/** The problems after a change of our schemas: file, field, and what reason and remedy must have. */
function refused(
  t: TestContext,
  change: (schemas: SchemaFolderCopy) => void,
  ...expected: { file?: string; field?: string; reason: RegExp; remedy: RegExp }[]
) {
  const schemas = schemaFolder(t);
  change(schemas);
  const { problems } = checkSchemas(schemas.path);
  assert.equal(problems.length, expected.length, JSON.stringify(problems, undefined, 1));
  for (const [index, { file = NEXT, field, reason, remedy }] of expected.entries()) {
    const found = problems[index]!;
    assert.deepEqual([found.file, found.field], [file, field]);
    assert.match(found.reason, reason);
    assert.match(found.remedy, remedy);
  }
}

test('our own schemas and a sound next version pass', (t) => {
  assert.deepEqual(checkSchemas().problems, []);
  const schemas = schemaFolder(t);
  schemas.next([
    NOTE,
    { ...NOTE, name: 'seenAt', type: 'long', default: 0, doc: 'Milliseconds since 1970; 0: never.' },
  ]);
  assert.deepEqual(checkSchemas(schemas.path).problems, []);
});

test('a new field needs a default', (t) => {
  const { default: _, ...bare } = NOTE;
  refused(t, (schemas) => schemas.next([bare]), {
    field: 'note',
    reason: /new since v3 and has no default/,
    remedy: /"default"/,
  });
});

test('a field of another type, one that is gone without a default, and a lost symbol', (t) => {
  refused(
    t,
    (schemas) => {
      const { fields, ...rest } = schemas.read(NEWEST);
      schemas.write(NEXT, {
        ...rest,
        fields: fields.map((field) => (field.name === 'epoch' ? { ...field, type: 'int' } : field)),
      });
    },
    { field: 'epoch', reason: /is int, and long in v3/, remedy: /leave it as it was/ },
  );
  refused(
    t,
    (schemas) => {
      const { fields, ...rest } = schemas.read(NEWEST);
      schemas.write(NEXT, { ...rest, fields: fields.slice(1) });
    },
    { field: 'alertId', reason: /is gone, and readers of v\d cannot do without/, remedy: /leave it/ },
  );
  const file = 'alert-created-topic-value/v6.avsc';
  refused(
    t,
    (schemas) =>
      schemas.write(file, JSON.stringify(schemas.read('alert-created-topic-value/v5.avsc')).replace('"JENKINS",', '')),
    { file, field: 'alertKind', reason: /lacks JENKINS of v\d: .* would read as OTHER/, remedy: /leave the symbol/ },
  );
});

test('a rename is refused without an alias, and taken with one', (t) => {
  const renamed = (more: object) => (schemas: SchemaFolderCopy) => {
    schemas.next([NOTE]);
    const { fields, ...rest } = schemas.read(NEXT);
    const others = fields.filter(({ name }) => name !== 'note');
    schemas.write('user-alert-topic-value/v5.avsc', {
      ...rest,
      fields: [...others, { ...NOTE, name: 'remark', ...more }],
    });
  };
  const file = 'user-alert-topic-value/v5.avsc';
  refused(t, renamed({}), {
    file,
    field: 'remark',
    reason: /looks like note under another name/,
    remedy: /"aliases": \["note"\]/,
  });
  refused(t, renamed({ aliases: ['note'] }));
});

test('two names for one thing: spelt otherwise, an alias that is taken, the same doc', (t) => {
  refused(t, (schemas) => schemas.next([{ ...NOTE, name: 'user_id', doc: 'Somebody.' }]), {
    field: 'user_id',
    reason: /'user_id' is 'userId' in .*: two names for one thing/,
    remedy: /name it userId/,
  });
  refused(t, (schemas) => schemas.next([{ ...NOTE, aliases: ['userId'] }]), {
    field: 'note',
    reason: /has the alias userId, which another field/,
    remedy: /take the alias/,
  });
  refused(t, (schemas) => schemas.next([NOTE, { ...NOTE, name: 'remark' }]), {
    field: 'remark',
    reason: /has the doc of note/,
    remedy: /take one away/,
  });
});

test('docs say what a field is, and in which unit', (t) => {
  const { doc: _, ...silent } = NOTE;
  refused(t, (schemas) => schemas.next([silent]), { field: 'note', reason: /has no doc/, remedy: /say what it is/ });
  for (const name of ['seenAt', 'ackTimeout', 'bodySize'])
    refused(t, (schemas) => schemas.next([{ name, type: 'long', default: 0, doc: 'Something of it.' }]), {
      field: name,
      reason: /is a (time|duration|size), and its doc does not say in which unit/,
      remedy: /such as/,
    });
  // A word that only ends like one of them is no measure.
  refused(t, (schemas) =>
    schemas.next([{ name: 'language', type: 'string', default: '', doc: 'As the user has it.' }]),
  );
});

test('names, namespaces, enums without a default, ambiguous unions', (t) => {
  refused(t, (schemas) => schemas.next([], { name: 'UserAlert' }), {
    reason: /the name is UserAlert, and UserAlertEvent in v1/,
    remedy: /leave it/,
  });
  refused(t, (schemas) => schemas.next([], { namespace: 'other' }), {
    reason: /the namespace is other/,
    remedy: /leave it/,
  });
  const mood = { type: 'enum', name: 'Mood', symbols: ['CALM'] };
  refused(t, (schemas) => schemas.next([{ ...NOTE, name: 'mood', type: mood, default: 'CALM' }]), {
    field: 'mood',
    reason: /the enum Mood has no default/,
    remedy: /"default": "CALM"/,
  });
  refused(t, (schemas) => schemas.next([{ ...NOTE, type: ['null', 'int', 'long'], default: null }]), {
    field: 'note',
    reason: /null or int or long/,
    remedy: /\["null", T\]/,
  });
});

test('file names: no gap, nothing else in a folder', (t) => {
  refused(t, (schemas) => rmSync(join(schemas.path, 'user-alert-topic-value/v2.avsc')), {
    file: 'user-alert-topic-value/v3.avsc',
    reason: /there is no v2/,
    remedy: /without a gap/,
  });
  const file = 'user-alert-topic-value/v4.json';
  refused(t, (schemas) => schemas.write(file, '{}'), { file, reason: /is no version/, remedy: /vN\.avsc/ });
});

test('bad input: no JSON, no Avro, a name twice, a megabyte, recursion, depth', (t) => {
  const write = (content: string) => (schemas: SchemaFolderCopy) => schemas.write(NEXT, content);
  refused(t, write('{"type": "record",'), { reason: /is not JSON: /, remedy: /mend it/ });
  refused(t, write('[]'), { reason: /is no record/, remedy: /begin it/ });
  refused(t, write('{"type": "record", "name": "E", "fields": [{"name": "a", "type": "nonsense"}]}'), {
    reason: /is no Avro schema: .*nonsense/,
    remedy: /mend it/,
  });
  const twice = { type: 'record', name: 'UserAlertEvent', fields: [] };
  refused(t, (schemas) => schemas.next([{ ...NOTE, type: twice, default: {} }]), {
    reason: /is no Avro schema: duplicate type name/,
    remedy: /define a type once/,
  });
  refused(t, write(`"${'x'.repeat(1_048_576)}"`), { reason: /has 1,048,578 bytes/, remedy: /say less/ });
  refused(
    t,
    (schemas) => schemas.next([{ ...NOTE, name: 'parent', type: ['null', 'UserAlertEvent'], default: null }]),
    {
      field: 'parent',
      reason: /recurses: UserAlertEvent holds itself/,
      remedy: /hold an id/,
    },
  );
  for (const odd of [{ doc: 5 }, { aliases: 'memo' }, { aliases: [7] }])
    refused(t, (schemas) => schemas.next([{ ...NOTE, ...odd }]), {
      field: NOTE.name,
      reason: /no text|no list/,
      remedy: /"doc"/,
    });
  const deep = `${'{"type": "array", "items": '.repeat(2000)}"int"${'}'.repeat(2000)}`;
  refused(t, write(`{"type": "record", "name": "E", "fields": [{"name": "a", "type": ${deep}}]}`), {
    reason: /is nested deeper than/,
    remedy: /flatten/,
  });
});

test('a changed meaning names its field, what tells it, and the variable that holds it', (t) => {
  const told = { name: 'noteOf', type: 'string', default: 'USER', doc: 'Whose note it is; USER: as before.' };
  const meaning = { of: 'alertId', toldBy: 'noteOf', heldBy: 'SCHEMA_WRITE_VERSIONS' };
  const declared =
    (changesMeaning: unknown, fields: object[] = [told]) =>
    (schemas: SchemaFolderCopy) =>
      schemas.next(fields, { changesMeaning });
  refused(t, declared(meaning));
  refused(t, declared('alertId counts otherwise'), {
    reason: /does not have the keys of, toldBy, heldBy/,
    remedy: /SCHEMA_WRITE_VERSIONS/,
  });
  refused(t, declared({ ...meaning, heldBy: 'NOTHING' }), {
    reason: /held by "NOTHING", which holds nothing/,
    remedy: /name SCHEMA_WRITE/,
  });
  refused(t, declared({ ...meaning, of: 'noteOf' }), { reason: /is of "noteOf", which v3/, remedy: /a field of both/ });
  refused(t, declared({ ...meaning, toldBy: 'epoch' }, []), {
    field: 'epoch',
    reason: /told by it/,
    remedy: /a field whose default/,
  });
});

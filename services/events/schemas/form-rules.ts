import type { SchemaFile, SchemaFolder, SchemaProblem } from './files.js';
import { type PlacedField, typeInWords, walk } from './form.js';

/*
 * Rules that a version is held against by itself. What asks for words is asked of the newest alone: those before it
 * were registered and stay as they are.
 */

type Finding = Omit<SchemaProblem, 'file'>;

/** What Avro lets pass and our readers would not. */
export function problemsOfForm({ file, record }: SchemaFile): SchemaProblem[] {
  const { enums, fields, namespaced } = walk(record);
  const found: Finding[] = [
    ...enums
      .filter((each) => each.enum.default === undefined)
      .map(({ path, enum: { name, symbols } }) => ({
        field: path,
        reason: `the enum ${name} has no default, so a reader that does not know a symbol fails`,
        remedy: `give it one of its symbols: "default": ${JSON.stringify(symbols[0])}`,
      })),
    ...fields
      .filter(({ field: { type } }) => Array.isArray(type) && !(type.length === 2 && type[0] === 'null'))
      .map(({ path, field: { type } }) => ({
        field: path,
        reason: `is ${typeInWords(type)}: our code could not tell them apart`,
        remedy: 'make it ["null", T] with the default null, or a field for each type',
      })),
    ...namespaced.map(({ path, name }) => ({
      field: path,
      reason: `the type ${name} has a namespace of its own`,
      remedy: "take it away: it is the record's",
    })),
    ...fields.flatMap((field) => aliasClashes(field, fields)),
  ];
  return found.map((each) => ({ file, ...each }));
}

function aliasClashes({ path, owner, field }: PlacedField, all: readonly PlacedField[]): Finding[] {
  const others = all.filter((other) => other.owner === owner && other.field !== field);
  return (field.aliases ?? [])
    .filter((alias) => others.some(({ field: other }) => [other.name, ...(other.aliases ?? [])].includes(alias)))
    .map((alias) => ({
      field: path,
      reason: `has the alias ${alias}, which another field of ${owner} has as a name or an alias`,
      remedy: 'take the alias from one of them: a value has one place',
    }));
}

const UNDOCUMENTED = 'say what it is, in "doc", with its unit and what its default means';

/** What people need who read a record without our code. */
export function problemsOfWords({ file, record }: SchemaFile): SchemaProblem[] {
  const { fields } = walk(record);
  const found: Finding[] = fields.flatMap(({ path, owner, field }) => {
    const doc = (field.doc ?? '').trim();
    if (doc === '') return [{ field: path, reason: 'has no doc', remedy: UNDOCUMENTED }];
    const twin = fields.find((other) => other.owner === owner && other.field.doc?.trim() === doc);
    if (twin !== undefined && twin.field !== field)
      return [
        {
          field: path,
          reason: `has the doc of ${twin.path}`,
          remedy: 'say what differs; if nothing does, take one away',
        },
      ];
    const unit = missingUnit(field.name, typeInWords(field.type), doc);
    return unit === undefined ? [] : [{ field: path, ...unit }];
  });
  if ((record.doc ?? '').trim() === '')
    found.unshift({
      reason: 'the record has no doc',
      remedy: 'say what happened when it is written, and what its key is',
    });
  return found.map((each) => ({ file, ...each }));
}

const UNITS = [
  {
    what: 'a time',
    words: new Set(['at', 'time', 'timestamp', 'date', 'until', 'since', 'deadline', 'expiry']),
    unit: /\b(?:milli|micro)?seconds since\b|\bdays since\b|RFC 3339|ISO 8601/i,
    example: '"Milliseconds since 1970; 0: not known."',
  },
  {
    what: 'a duration',
    words: new Set([
      'duration',
      'timeout',
      'delay',
      'interval',
      'age',
      'ttl',
      'latency',
      'wait',
      'elapsed',
      'ms',
      'millis',
      'seconds',
    ]),
    unit: /\b(?:nano|micro|milli)?seconds\b|\b(?:minutes|hours|days)\b/i,
    example: '"In milliseconds."',
  },
  {
    what: 'a size',
    words: new Set(['size', 'bytes', 'length', 'width', 'height']),
    unit: /\b(?:bytes|KiB|MiB|characters|code points|items|records|pixels)\b/i,
    example: '"In bytes."',
  },
];
const MEASURED = /^(?:null or )?(?:int|long|float|double|string)$/;

function missingUnit(name: string, type: string, doc: string): Pick<Finding, 'reason' | 'remedy'> | undefined {
  const last = wordsOf(name).at(-1)!;
  const kind = UNITS.find(({ words }) => words.has(last));
  if (kind === undefined || !MEASURED.test(type) || kind.unit.test(doc)) return undefined;
  return {
    reason: `is ${kind.what}, and its doc does not say in which unit`,
    remedy: `say it, such as ${kind.example}`,
  };
}

const wordsOf = (name: string) =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[ _]+/);

/** No two names for one thing: in the newest versions of all subjects a field's or a type's name is spelt one way. */
export function problemsOfSpelling(folders: readonly SchemaFolder[]): SchemaProblem[] {
  const first = new Map<string, { name: string; file: string }>();
  const problems: SchemaProblem[] = [];
  for (const { file, record } of folders.flatMap(({ versions }) => versions.slice(-1))) {
    const { fields, enums } = walk(record);
    const named = [
      ...fields.map(({ path, field }) => ({ path, name: field.name, what: 'field' })),
      ...enums.map(({ path, enum: { name } }) => ({ path, name, what: 'type' })),
    ];
    for (const { path, name, what } of named) {
      const key = `${what} ${name.replaceAll('_', '').toLowerCase()}`;
      const known = first.get(key) ?? { name, file };
      first.set(key, known);
      if (known.name === name) continue;
      const reason = `'${name}' is '${known.name}' in ${known.file}: two names for one thing`;
      problems.push({ file, field: path, reason, remedy: `name it ${known.name}` });
    }
  }
  return problems;
}

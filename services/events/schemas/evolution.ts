import { incompatibility } from '../../lib/avro.js';
import { type SchemaFile, type SchemaFolder, type SchemaProblem, shortened } from './files.js';
import { hasDefault, type PlacedField, type RecordSchema, typeInWords, walk } from './form.js';
import { problemsOfMeaning } from './meaning.js';

/*
 * What may differ between the versions of a subject. Every version must read what every other one writes
 * (FULL_TRANSITIVE); the rules name the field and the remedy where Avro's own resolver only says no, and refuse what it
 * lets pass.
 */

type Finding = Omit<SchemaProblem, 'file'>;

/** Of all versions of a subject, each at the later one of two. */
export function problemsOfEvolution({ versions }: SchemaFolder): SchemaProblem[] {
  return versions.flatMap((later, index) => {
    const earlier = versions.slice(0, index);
    const before = earlier.at(-1);
    const found = [
      ...earlier.flatMap((one) => problemsOfNames(one, later)).slice(0, 1),
      ...uniqueFields(earlier.toReversed().flatMap((one) => problemsOfFields(one, later))),
      ...(before === undefined ? [] : problemsOfRenames(before, later)),
      ...problemsOfMeaning(before, later),
    ];
    // Avro's answer says nothing new where a rule has said what is wrong.
    return [...found, ...(found.length > 0 ? [] : problemsOfPairs(earlier, later))].map((each) => ({
      file: later.file,
      ...each,
    }));
  });
}

/** The first of each field: the same is wrong with most of the versions before. */
const uniqueFields = (found: readonly Finding[]) => [
  ...new Map(found.toReversed().map((each) => [each.field, each])).values(),
];

function problemsOfNames(earlier: SchemaFile, later: SchemaFile): Finding[] {
  return (['name', 'namespace'] as const)
    .filter((key) => earlier.record[key] !== later.record[key])
    .map((key) => ({
      reason: `the ${key} is ${later.record[key] ?? 'missing'}, and ${earlier.record[key] ?? 'missing'} in v${earlier.version}`,
      remedy: `leave it; another ${key === 'name' ? 'event has a folder of its own' : 'namespace has no use'}`,
    }));
}

const byPath = (record: RecordSchema) => new Map(walk(record).fields.map((each) => [each.path, each]));

function problemsOfFields(earlier: SchemaFile, later: SchemaFile): Finding[] {
  const [before, now] = [byPath(earlier.record), byPath(later.record)];
  const version = `v${earlier.version}`;
  const added = [...now.values()].filter((field) => isNew(field, before));
  const removed = [...before.values()].filter((field) => isGone(field, now));
  const retyped = [...now.values()].flatMap((field) => {
    const was = before.get(field.path);
    const [is, old] = [typeInWords(field.field.type), was === undefined ? '' : typeInWords(was.field.type)];
    return was === undefined || is === old ? [] : [{ field: field.path, is, old }];
  });
  return [
    ...added
      .filter(({ field }) => !hasDefault(field))
      .map(({ path }) => ({
        field: path,
        reason: `is new since ${version} and has no default, so no record of ${version} could be read`,
        remedy: 'give it a "default" that says: not known',
      })),
    ...removed
      .filter(({ field }) => !hasDefault(field))
      .map(({ path }) => ({
        field: path,
        reason: `is gone, and readers of ${version} cannot do without: it has no default there`,
        remedy: 'leave it, and write an empty value once nobody needs it',
      })),
    ...retyped.map(({ field, is, old }) => ({
      field,
      reason: `is ${is}, and ${old} in ${version}`,
      remedy: 'leave it as it was, and add another field with a default',
    })),
    ...goneSymbols(earlier, later),
  ];
}

/** Without the record around it: that is named by itself then. */
const isNew = (field: PlacedField, before: ReadonlyMap<string, PlacedField>) =>
  !before.has(field.path) &&
  (parentOf(field.path) === '' || before.has(parentOf(field.path))) &&
  !(field.field.aliases ?? []).some((alias) => before.has(siblingOf(field.path, alias)));

function isGone(field: PlacedField, now: ReadonlyMap<string, PlacedField>): boolean {
  const parent = parentOf(field.path);
  if (now.has(field.path) || (parent !== '' && !now.has(parent))) return false;
  return ![...now.values()].some((other) =>
    (other.field.aliases ?? []).some((alias) => siblingOf(other.path, alias) === field.path),
  );
}

const parentOf = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf('.'))).replace(/(\[\]|\{\})+$/, '');
const siblingOf = (path: string, name: string) => path.slice(0, path.lastIndexOf('.') + 1) + name;

function goneSymbols(earlier: SchemaFile, later: SchemaFile): Finding[] {
  const now = new Map(walk(later.record).enums.map((each) => [each.path, each.enum]));
  return walk(earlier.record).enums.flatMap(({ path, enum: { symbols } }) => {
    const kept = now.get(path);
    const gone = kept === undefined ? [] : symbols.filter((symbol) => !kept.symbols.includes(symbol));
    if (gone.length === 0) return [];
    const reason = `lacks ${gone.join(', ')} of v${earlier.version}: records with it would read as ${kept?.default ?? 'nothing'}`;
    return [{ field: path, reason, remedy: 'leave the symbol; nobody has to write it' }];
  });
}

/** To Avro a field under another name is one field less and one more: the value is lost. */
function problemsOfRenames(before: SchemaFile, later: SchemaFile): Finding[] {
  const [then, now] = [byPath(before.record), byPath(later.record)];
  const added = [...now.values()].filter((field) => isNew(field, then));
  return [...then.values()]
    .filter((field) => isGone(field, now) && hasDefault(field.field))
    .flatMap((gone) => {
      const type = typeInWords(gone.field.type);
      const heir = added.find(
        (one) => parentOf(one.path) === parentOf(gone.path) && typeInWords(one.field.type) === type,
      );
      if (heir === undefined) return [];
      return {
        field: heir.path,
        reason: `looks like ${gone.path} under another name, whose values readers would lose`,
        remedy: `leave the name, or give ${heir.field.name} "aliases": ["${gone.field.name}"]; if they are two things, remove one in a version of its own`,
      };
    });
}

/** Every pair in both directions, as the roles themselves would read them. */
function problemsOfPairs(earlier: readonly SchemaFile[], later: SchemaFile): Finding[] {
  const versions = new Map<string, string[]>();
  const note = (message: string | undefined, version: string) => {
    if (message === undefined) return;
    const reason = shortened(message);
    versions.set(reason, [...(versions.get(reason) ?? []), version]);
  };
  for (const { text, version } of earlier) {
    note(incompatibility(later.text, text), `it cannot read v${version}`);
    note(incompatibility(text, later.text), `v${version} cannot read it`);
  }
  return [...versions].map(([reason, pairs]) => ({
    reason: `${pairs.join(', ')}: ${reason}`,
    remedy: 'leave what was registered as it is, and add fields with defaults',
  }));
}

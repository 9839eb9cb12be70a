import { FOLDERS, readVersions, type SchemaFile, type SchemaFolder, type SchemaProblem } from './files.js';
import { hasDefault } from './form.js';

/*
 * Writers after readers. A version of which a field means something else is read as soon as a release has it, and
 * written only once SCHEMA_WRITE_VERSIONS says so: a reader of before would take the new meaning for the old one, and
 * no resolver sees that.
 */

/** The variable that holds and releases it. */
export const WRITE_VERSIONS = 'SCHEMA_WRITE_VERSIONS';

/** What a file says of it, at its top, as "changesMeaning"; Avro keeps attributes that it does not know. */
export interface ChangeOfMeaning {
  /** The field whose meaning changes. */
  readonly of: string;
  /** A new field whose default says the old meaning: by it a reader tells them apart. */
  readonly toldBy: string;
  /** The variable that holds it. */
  readonly heldBy: typeof WRITE_VERSIONS;
}

/**
 * The version up to which each folder is written without being asked, although it changes a meaning: every release that
 * is still in use reads it. A line comes one release after the version, and the changelog says so.
 */
const RELEASED: Readonly<Record<string, number>> = {};

const KEYS = ['of', 'toldBy', 'heldBy'];
const EXAMPLE = `"changesMeaning": {"of": "a field", "toldBy": "a new field", "heldBy": "${WRITE_VERSIONS}"}`;

type Finding = Omit<SchemaProblem, 'file'>;

export function problemsOfMeaning(before: SchemaFile | undefined, { record }: SchemaFile): Finding[] {
  const { changesMeaning } = record;
  if (changesMeaning === undefined) return [];
  const remedy = `write ${EXAMPLE}`;
  if (
    typeof changesMeaning !== 'object' ||
    changesMeaning === null ||
    Object.keys(changesMeaning).sort().join() !== KEYS.toSorted().join()
  )
    return [{ reason: `changesMeaning does not have the keys ${KEYS.join(', ')}`, remedy }];
  const { of, toldBy, heldBy } = changesMeaning as Record<string, unknown>;
  if (before === undefined)
    return [{ reason: 'changesMeaning stands in the first version', remedy: 'take it away: nothing was meant before' }];
  if (JSON.stringify(changesMeaning) === JSON.stringify(before.record.changesMeaning))
    return [
      {
        reason: `changesMeaning is that of v${before.version}`,
        remedy: 'take it away: this version changes no meaning',
      },
    ];
  const found: Finding[] = [];
  const has = (file: SchemaFile['record'], name: unknown) => file.fields.find((field) => field.name === name);
  if (heldBy !== WRITE_VERSIONS)
    found.push({
      reason: `changesMeaning is held by ${JSON.stringify(heldBy)}, which holds nothing`,
      remedy: `name ${WRITE_VERSIONS}`,
    });
  if (has(record, of) === undefined || has(before.record, of) === undefined)
    found.push({
      reason: `changesMeaning is of ${JSON.stringify(of)}, which v${before.version} or this version does not have`,
      remedy: 'name a field of both; a field that is new has no meaning that changes',
    });
  const mark = has(record, toldBy);
  if (mark === undefined || has(before.record, toldBy) !== undefined || !hasDefault(mark))
    found.push({
      field: String(toldBy),
      reason: 'changesMeaning is told by it, and it is no new field with a default',
      remedy: 'add a field whose default says the old meaning: else a reader cannot tell which one a record has',
    });
  return found;
}

/**
 * The version that is written: the newest whose meaning every reader knows, or the one that the variable names.
 * @param held what SCHEMA_WRITE_VERSIONS says, by folder
 */
export function writtenVersion(folder: SchemaFolder, held: ReadonlyMap<string, number>): SchemaFile {
  const { name, versions } = folder;
  const wanted = held.get(name);
  if (wanted === undefined) {
    const changed = versions.findIndex(
      ({ version, record }) => record.changesMeaning !== undefined && version > (RELEASED[name] ?? 0),
    );
    return versions.at(changed < 0 ? -1 : changed - 1)!;
  }
  const found = versions.find(({ version }) => version === wanted);
  if (found === undefined) throw new Error(noSuchVersion(name, versions.length, wanted));
  return found;
}

const noSuchVersion = (name: string, newest: number, wanted: number) =>
  `${WRITE_VERSIONS}: ${name} has the versions 1 to ${newest}, not ${wanted}`;

/** What is wrong with the variable's value, for whoever reads the configuration. */
export function problemsOfWriteVersions(text: string): string[] {
  const folders: readonly string[] = Object.values(FOLDERS);
  return [...readWriteVersions(text)].flatMap(([name, wanted]) => {
    if (!folders.includes(name)) return `${WRITE_VERSIONS}: '${name}' is none of ${folders.join(', ')}`;
    const newest = readVersions(name).length;
    return wanted <= newest ? [] : noSuchVersion(name, newest, wanted);
  });
}

/** `alert-created-topic-value:4,user-alert-topic-value:2`, as the configuration has accepted it. */
export function readWriteVersions(text: string): ReadonlyMap<string, number> {
  const pairs = text.split(',').filter((pair) => pair.trim() !== '');
  return new Map(
    pairs.map((pair) => {
      const [folder = '', version] = pair.trim().split(':');
      return [folder, Number(version)];
    }),
  );
}

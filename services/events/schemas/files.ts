import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalSchema, checkSchema } from '../../lib/avro.js';
import type { Config } from '../../lib/config/load.js';
import { ROOT } from '../../lib/root.js';
import { DEPTH_MAX, nestingOf, type RecordSchema, walk } from './form.js';

/** Folders below schemas/; the subject is the configured topic's name with `-value` (TopicNameStrategy). */
export const FOLDERS = {
  topicAlertCreated: 'alert-created-topic-value',
  topicUserAlert: 'user-alert-topic-value',
  topicInboxChange: 'inbox-change-topic-value',
} as const satisfies Partial<Record<keyof Config, string>>;

export type TopicKey = keyof typeof FOLDERS;
export type TopicConfig = Pick<Config, TopicKey>;
export const TOPIC_KEYS = Object.keys(FOLDERS) as readonly TopicKey[];

/** The topics' names, by the configuration. */
export const topicsOf = (config: TopicConfig): string[] => TOPIC_KEYS.map((key) => config[key]);

/** Where this release has its schemas. */
export const SCHEMAS = join(ROOT, 'schemas');

/** Bytes of a file: ours have 4 KB, and whoever reads a topic fetches each version. */
const FILE_MAX = 65_536;

/** What is wrong with a schema, and what would be right. */
export interface SchemaProblem {
  /** Relative to the folder of all schemas: `user-alert-topic-value/v2.avsc`. */
  readonly file: string;
  /** Its path, such as `changes[].alertId`. */
  readonly field?: string;
  readonly reason: string;
  readonly remedy: string;
}

/** One version of a subject. */
export interface SchemaFile {
  readonly file: string;
  readonly version: number;
  /** As it is registered. */
  readonly text: string;
  readonly record: RecordSchema;
}

/** A folder's versions, oldest first, without those that cannot be read. */
export interface SchemaFolder {
  readonly name: string;
  readonly versions: readonly SchemaFile[];
}

/** The subject of a folder's records; undefined: no topic is known to have them. */
export function subjectOf(folder: string, config: TopicConfig): string | undefined {
  const key = TOPIC_KEYS.find((each) => FOLDERS[each] === folder);
  return key === undefined ? undefined : `${config[key]}-value`;
}

/** Every schema below a folder, and why some of the files are none. */
export function readSchemas(schemas = SCHEMAS): { folders: SchemaFolder[]; problems: SchemaProblem[] } {
  const problems: SchemaProblem[] = [];
  const names = readdirSync(schemas, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const folders = names.map(({ name }) => name).sort();
  return { folders: folders.map((name) => readFolder(schemas, name, problems)), problems };
}

function readFolder(schemas: string, name: string, problems: SchemaProblem[]): SchemaFolder {
  const remedy = 'name the folder after its topic, with -value behind it (TopicNameStrategy)';
  if (!/^[a-zA-Z0-9._-]+-value$/.test(name)) problems.push({ file: name, reason: 'is the name of no subject', remedy });
  const numbers: number[] = [];
  for (const file of readdirSync(join(schemas, name))) {
    const version = Number(/^v([1-9]\d*)\.avsc$/.exec(file)?.[1] ?? 0);
    if (version > 0) numbers.push(version);
    else
      problems.push({ file: `${name}/${file}`, reason: 'is no version', remedy: 'name it vN.avsc, or take it away' });
  }
  numbers.sort((a, b) => a - b);
  const gap = numbers.findIndex((version, index) => version !== index + 1);
  if (numbers.length === 0 || gap >= 0)
    problems.push({
      file: `${name}/v${numbers[gap] ?? 1}.avsc`,
      reason: `there is no v${gap + 1 || 1}.avsc`,
      remedy: 'number the versions v1, v2, v3 … without a gap; a version that was registered stays',
    });
  const read = numbers.map((version) => readVersion(schemas, name, version));
  problems.push(...read.filter((each) => 'reason' in each));
  return { name, versions: read.filter((each) => 'record' in each) };
}

function readVersion(schemas: string, folder: string, version: number): SchemaFile | SchemaProblem {
  const file = `${folder}/v${version}.avsc`;
  const path = join(schemas, file);
  const { size } = statSync(path);
  if (size > FILE_MAX) {
    const reason = `has ${size.toLocaleString('en')} bytes, and may have ${FILE_MAX.toLocaleString('en')}`;
    return { file, reason, remedy: 'say less in it: every reader of the topic fetches it' };
  }
  const source = readFileSync(path, 'utf8');
  const wrong = problemOf(source);
  if (wrong !== undefined) return { file, ...wrong };
  return { file, version, text: canonicalSchema(source), record: JSON.parse(source) as RecordSchema };
}

/** Why a text is no schema of a record of ours. */
function problemOf(source: string): Omit<SchemaProblem, 'file'> | undefined {
  let schema: unknown;
  try {
    schema = JSON.parse(source);
  } catch (error) {
    return { reason: `is not JSON: ${(error as Error).message}`, remedy: 'mend it at that place' };
  }
  if (typeof schema !== 'object' || schema === null || (schema as { type?: unknown }).type !== 'record')
    return { reason: 'is no record', remedy: 'begin it with {"type": "record", "name": …, "fields": […]}' };
  if (nestingOf(schema) > DEPTH_MAX)
    return { reason: `is nested deeper than ${DEPTH_MAX}`, remedy: 'flatten it: a record that deep is read by nobody' };
  try {
    checkSchema(source);
  } catch (error) {
    const { message } = error as Error;
    const isTwice = /duplicate type name/.test(message);
    const remedy = isTwice
      ? 'define a type once, and use its name alone wherever else it stands'
      : 'mend it: https://avro.apache.org/docs/1.12.0/specification/ says what a schema may have';
    return { reason: `is no Avro schema: ${shortened(message)}`, remedy };
  }
  const { recursion, fields } = walk(schema as RecordSchema);
  // avsc takes whatever stands there.
  const odd = fields.find(
    ({ field: { doc = '', aliases = [] } }) => typeof doc !== 'string' || !isListOfNames(aliases),
  );
  if (odd !== undefined)
    return {
      field: odd.path,
      reason: 'has a doc that is no text, or aliases that are no list of names',
      remedy: 'write "doc": "…" and "aliases": ["…"]',
    };
  if (recursion === undefined) return undefined;
  return {
    field: recursion.path,
    reason: `recurses: ${recursion.name} holds itself`,
    remedy: 'hold an id of the other one, or a list of fixed depth: such a record may be of any depth',
  };
}

const isListOfNames = (value: unknown) => Array.isArray(value) && value.every((each) => typeof each === 'string');

/** avsc quotes whole schemas. */
export function shortened(message: string): string {
  const line = message.replace(/\s+/g, ' ');
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}

/** A folder's versions, oldest first. */
export function readVersions(folder: string, schemas = SCHEMAS): readonly SchemaFile[] {
  return readFolder(schemas, folder, []).versions;
}

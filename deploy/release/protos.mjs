// The protos of a checkout against those of the last release, by buf: nothing is fetched.
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { NODE_MODULES } from '../tools/setup/common.mjs';

/** For so long after the release that marks it as deprecated, a field or a value of an enum is there. */
const DEPRECATED_YEARS = 2;

const BUF = join(NODE_MODULES, '@bufbuild', 'buf', 'bin', 'buf');
const BUF_MS = 120_000;

const GONE = /^(?:FIELD|ENUM_VALUE)_NO_DELETE$/;
const NOT_RESERVED = /^(?:FIELD|ENUM_VALUE)_NO_DELETE_UNLESS_(?:NAME|NUMBER)_RESERVED$/;
/** Says again what FIELD_SAME_TYPE and FIELD_SAME_CARDINALITY say. */
const AGAIN = /^FIELD_WIRE_JSON_COMPATIBLE_/;

/** What is right instead, by buf's rules. @type {[RegExp, string][]} */
const REMEDIES = [
  [NOT_RESERVED, 'reserve both where it was, as in: reserved 9; reserved "source_id";'],
  [/^RESERVED_/, 'put it back: an old client or a stored message may still use that number or name'],
  [/^FIELD_SAME_TYPE$/, 'keep its type, and add a field with the next free number beside it; fill both'],
  [/^FIELD_SAME_CARDINALITY$/, 'leave it as it was, and add a field with the next free number beside it; fill both'],
  [/^FIELD_SAME_ONEOF$/, 'leave it where it was, and add another field inside the oneof, or outside'],
  [/^FIELD_SAME_NAME$/, 'keep its name, or mark it [deprecated = true] and add a field of the new name beside it'],
  [/^FIELD_SAME_JSON_NAME$/, 'keep the name that it has in JSON: clients that speak JSON know it by that'],
  [/^ENUM_VALUE_SAME_NAME$/, 'keep its name: clients that speak JSON know it by that; a better one is a new value'],
  [/^RPC_NO_DELETE$/, 'keep it, marked option deprecated = true; it must answer as it did'],
  [/^RPC_SAME_/, 'leave it as it was, and add another rpc beside it'],
  [/_NO_DELETE$/, 'put it back where it was: it stays as long as its package; what replaces it stands beside it'],
  [/^FILE_SAME_/, 'put it back: code that was generated from these files would change its names'],
];
const OTHERWISE = 'put it back, and add something new beside it';

/** @typedef {{ path?: string, start_line?: number, type: string, message: string }} Annotation */
/** @typedef {{ name: string, number: number, options?: { deprecated?: boolean } }} Member */
/**
 * @typedef {object} Descriptor
 * @property {string} name
 * @property {Member[]} [field]
 * @property {Member[]} [value]
 * @property {Descriptor[]} [messageType]
 * @property {Descriptor[]} [nestedType]
 * @property {Descriptor[]} [enumType]
 * @property {string} [package]
 */

/** @param {string} folder @param {string[]} args @returns {Promise<{ code: number | null, stdout: Buffer, stderr: string }>} */
function buf(folder, ...args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [BUF, ...args], { cwd: folder, timeout: BUF_MS });
    /** @type {Buffer[]} */
    const chunks = [];
    let stderr = '';
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === null) stderr += `was ended, as after ${BUF_MS / 1000} s`;
      resolve({ code, stdout: Buffer.concat(chunks), stderr });
    });
  });
}

/** @param {string} folder @param {string[]} args @returns {Promise<Buffer>} */
async function built(folder, ...args) {
  const { code, stdout, stderr } = await buf(folder, 'build', ...args);
  if (code !== 0) throw new Error(`buf build ${args.join(' ')}: ${stderr.trim()}`);
  return stdout;
}

/** @param {string} folder a checkout @returns {Promise<Buffer>} its protos, compiled; the same files give the same bytes */
export const imageOf = (folder) => built(folder, '--exclude-source-info', '--output', '-#format=binpb');

/** @param {string} image a file @returns {Promise<string[]>} fields and enum values, by type and number */
export async function deprecatedIn(image) {
  const { file } = JSON.parse(String(await built(dirname(image), image, '--output', '-#format=json')));
  return file.flatMap((/** @type {Descriptor} */ each) => deprecatedOf(each, each.package ?? ''));
}

/** @param {Descriptor} descriptor @param {string} prefix @returns {string[]} */
function deprecatedOf({ field = [], value = [], messageType = [], nestedType = [], enumType = [] }, prefix) {
  const own = [...field, ...value].filter(({ options }) => options?.deprecated === true);
  const inner = [...messageType, ...nestedType, ...enumType];
  return [
    ...own.map(({ number }) => `${prefix}.${number}`),
    ...inner.flatMap((each) => deprecatedOf(each, `${prefix}.${each.name}`)),
  ];
}

/** @param {string} folder a checkout @returns {Promise<string[]>} */
export async function formatProblems(folder) {
  const { code, stdout, stderr } = await buf(folder, 'format', '--diff', '--exit-code');
  if (code === 0) return [];
  const files = [...String(stdout).matchAll(/^\+\+\+ (\S+)/gm)].map(([, path]) => path);
  if (files.length === 0) return [`buf format: ${stderr.trim()}`];
  return files.map((path) => `${path}: is not formatted as all protos are: npx buf format -w`);
}

/**
 * @param {string} folder a checkout
 * @param {string} image a file, of the last release
 * @param {Record<string, string>} deprecated the day since which each is, by type and number
 * @param {string} today as 2026-12-01
 * @returns {Promise<string[]>}
 */
export async function breakingProblems(folder, image, deprecated, today) {
  const { code, stdout, stderr } = await buf(folder, 'breaking', '--against', image, '--error-format=json');
  if (code === 0) return [];
  const lines = String(stdout).split('\n').filter(Boolean);
  if (lines.length === 0) return [`buf breaking: ${stderr.trim()}`];
  /** @type {Annotation[]} */
  const annotations = lines.map((line) => JSON.parse(line));
  const goneTooEarly = new Set();
  const problems = [];
  for (const annotation of annotations.filter(({ type }) => !AGAIN.test(type)).sort(byRule)) {
    const { path = 'proto', start_line: line, type, message } = annotation;
    const text = message.replace(/\.$/, '');
    const where = line === undefined ? path : `${path}:${line}`;
    const member = memberOf(annotation);
    if (GONE.test(type)) {
      const since = deprecated[member];
      if (since !== undefined && mayGo(since) <= today) continue;
      goneTooEarly.add(member);
      problems.push(`${where}: ${text}: ${remedyOfRemoval(since)}`);
    } else if (!(NOT_RESERVED.test(type) && goneTooEarly.has(member))) {
      const [, remedy] = REMEDIES.find(([rule]) => rule.test(type)) ?? ['', OTHERWISE];
      problems.push(type === 'COMPILE' ? `${where}: ${text}` : `${where}: ${text}: ${remedy}`);
    }
  }
  return problems;
}

/** What is gone stands before what is said of its number and name. @param {Annotation} a @param {Annotation} b */
const byRule = (a, b) => Number(GONE.test(b.type)) - Number(GONE.test(a.type));

/** @param {Annotation} annotation @returns {string} as deprecatedIn names it; the folder of a proto is its package */
function memberOf({ path = '', message }) {
  const [, number, type] = /(?:field|enum value) "(\d+)".* on (?:message|enum) "([\w.]+)"/.exec(message) ?? [];
  return `${dirname(path).split('/').slice(1).join('.')}.${type}.${number}`;
}

/** @param {string} since as 2026-12-01 */
const mayGo = (since) => `${Number(since.slice(0, 4)) + DEPRECATED_YEARS}${since.slice(4)}`;

/** @param {string | undefined} since */
const remedyOfRemoval = (since) =>
  since === undefined
    ? `put it back under its number, marked [deprecated = true]: it may go ${DEPRECATED_YEARS} years after the release that marks it so`
    : `put it back: it is deprecated since ${since}, and may go on ${mayGo(since)}`;

// Writes what documents have from the compiled sources, between their markers: `npm run docs`. With --check it changes
// nothing and fails where the two differ.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';

const BUILD = new URL('../../.build/services/', import.meta.url);

/** @param {unknown} value @returns {string} */
const code = (value) => (value === '' ? '(empty)' : `\`${String(value)}\``);

/**
 * @param {{ base: unknown, byProfile?: Record<string, unknown> }} variable
 * @param {readonly string[]} profiles
 * @returns {string} the default that holds everywhere, and those of profiles that have one of their own
 */
function defaults({ base, byProfile = {} }, profiles) {
  const own = profiles
    .filter((profile) => profile in byProfile)
    .map((profile) => `${profile} ${code(byProfile[profile])}`);
  return [code(base), ...own].join('; ');
}

/**
 * @param {Record<string, any>} variable
 * @param {readonly string[]} profiles
 * @returns {string} its entry, with its heading
 */
function entry(variable, profiles) {
  const { name, heading, spring, librdkafka, doc, accepts, secret = false } = variable;
  const names = secret ? `\`${name}\`, \`${name}_FILE\`` : `\`${name}\``;
  const what = accepts === 'text' ? doc : `${doc} Takes ${accepts}.`;
  const elsewhere = [spring && `Spring ${code(spring)}`, librdkafka && `librdkafka ${code(librdkafka)}`].filter(
    Boolean,
  );
  const others = elsewhere.length > 0 ? ` (${elsewhere.join(', ')})` : '';
  return `${heading ? `\n## ${heading}\n\n` : ''}- **${names}** = ${defaults(variable, profiles)}. ${what}${others}\n`;
}

/**
 * @param {Record<string, readonly string[]>} scopes
 * @returns {string} a table: of each method what it asks for
 */
function scopeTable(scopes) {
  const rows = Object.entries(scopes).map(
    ([method, any]) => `| \`${method}\` | ${any.map((scope) => `\`${scope}\``).join(', ')} |`,
  );
  return ['', '| method | needs one of |', '| --- | --- |', ...rows].join('\n');
}

/**
 * @param {readonly { object: string, line: Record<string, string> }[]} lines
 * @returns {string} a list: of each table and sequence what each user may do
 */
function grantList(lines) {
  const entries = lines.map(({ object, line }) => {
    const users = Object.entries(line).filter(([user]) => user !== 'standalone');
    const may = users.length === 0 ? 'nobody' : users.map(([user, text]) => `\`${user}\` ${text}`).join('; ');
    return `- **\`${object}\`**: ${may}`;
  });
  return ['', ...entries, ''].join('\n');
}

/**
 * @param {{ PRINCIPALS: readonly string[], rightsOf: (principal: string, config: object) => { resource: string, name:
 * string, operation: string }[] }} rights
 * @param {object} config
 * @returns {string} a list: of each principal its ACLs
 */
function rightsList({ PRINCIPALS, rightsOf }, config) {
  const entries = PRINCIPALS.filter((principal) => principal !== 'standalone').map((principal) => {
    const rights = rightsOf(principal, config);
    const may = [...new Set(rights.map(({ operation }) => operation))].map((operation) => {
      const names = rights
        .filter((right) => right.operation === operation)
        .map(({ resource, name }) => (resource === 'topic' ? `\`${name}\`` : `${resource} \`${name}\``));
      return `${operation} ${names.join(', ')}`;
    });
    return `- **\`${principal}\`**: ${may.join('; ')}`;
  });
  return ['', ...entries, ''].join('\n');
}

/**
 * Writes what stands between the markers of a document, as `prettier --write` would leave it, so that one check never
 * undoes the other. With --check it only compares.
 * @param {{ name: string, marker: string, source: string, text: string }} part
 * @returns {Promise<string | undefined>} what is wrong
 */
async function write({ name, marker, source, text }) {
  const document = fileURLToPath(new URL(`../${name}`, import.meta.url));
  const begin = `<!-- ${marker}: written by \`npm run docs\` from ${source} -->`;
  const end = `<!-- /${marker} -->`;
  const before = readFileSync(document, 'utf8');
  const [from, to] = [before.indexOf(begin), before.indexOf(end)];
  if (from === -1 || to < from) return `deploy/${name} lacks the lines\n  ${begin}\n  ${end}`;
  const written = `${before.slice(0, from)}${begin}\n${text}\n${before.slice(to)}`;
  const after = await format(written, { ...(await resolveConfig(document)), filepath: document, proseWrap: 'always' });
  if (after === before) return undefined;
  if (process.argv.includes('--check')) return `deploy/${name} is not what ${source} says; run: npm run docs`;
  writeFileSync(document, after);
  return undefined;
}

if (!existsSync(BUILD)) {
  process.stderr.write('the sources are not compiled; run: npm run setup\n');
  process.exit(1);
}
const { variables, PROFILES } = await import(new URL('lib/config/variables.js', BUILD).href);
const { METHOD_SCOPES } = await import(new URL('api/scopes.js', BUILD).href);
const { grantLines } = await import(new URL('store/grants.js', BUILD).href);
const rights = await import(new URL('events/rights.js', BUILD).href);
const byDefault = Object.fromEntries(Object.entries(variables).map(([key, { base }]) => [key, base]));
const parts = [
  {
    name: 'VARIABLES.md',
    marker: 'variables',
    source: 'services/lib/config/variables.ts',
    text: Object.values(variables)
      .map((variable) => entry(variable, PROFILES))
      .join(''),
  },
  {
    name: 'SECURITY.md',
    marker: 'grants',
    source: 'services/store/grants.ts',
    text: grantList(grantLines()),
  },
  { name: 'SECURITY.md', marker: 'scopes', source: 'services/api/scopes.ts', text: scopeTable(METHOD_SCOPES) },
  {
    name: 'SECURITY.md',
    marker: 'kafka-rights',
    source: 'services/events/rights.ts',
    text: rightsList(rights, byDefault),
  },
];
const problems = [];
// One after the other: several may be of one document.
for (const part of parts) problems.push((await write(part)) ?? []);
for (const problem of problems.flat()) process.stderr.write(`${problem}\n`);
if (problems.flat().length > 0) process.exit(1);

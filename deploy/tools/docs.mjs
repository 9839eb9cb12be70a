// Writes the table of all variables into deploy/README.md, between its markers, from the compiled
// services/lib/config/variables.ts: `npm run docs`. With --check it changes nothing and fails if the two differ.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';

const README = fileURLToPath(new URL('../README.md', import.meta.url));
const COMPILED = new URL('../../.build/services/lib/config/variables.js', import.meta.url);
const BEGIN = '<!-- variables: written by `npm run docs` from services/lib/config/variables.ts -->';
const END = '<!-- /variables -->';

/** @param {string} text @returns {string} for a cell of a table */
const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** @param {unknown} value @returns {string} */
const code = (value) => (value === '' ? '(empty)' : `\`${cell(String(value))}\``);

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

/** @param {Record<string, any>} variables @param {readonly string[]} profiles @returns {string} */
function table(variables, profiles) {
  const rows = Object.values(variables).map((variable) => {
    const { name, spring = '', librdkafka = '', doc, accepts, secret = false } = variable;
    const names = secret ? `\`${name}\`, \`${name}_FILE\`` : `\`${name}\``;
    const what = cell(accepts === 'text' ? doc : `${doc} Takes ${accepts}.`);
    return [names, spring && code(spring), librdkafka && code(librdkafka), defaults(variable, profiles), what];
  });
  const head = ['variable', "Spring's key", "librdkafka's name", 'default', 'what it is for'];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

if (!existsSync(COMPILED)) {
  process.stderr.write('the sources are not compiled; run: npm run setup\n');
  process.exit(1);
}
const { variables, PROFILES } = await import(COMPILED.href);
const before = readFileSync(README, 'utf8');
const [begin, end] = [before.indexOf(BEGIN), before.indexOf(END)];
if (begin === -1 || end < begin) {
  process.stderr.write(`deploy/README.md lacks the lines\n  ${BEGIN}\n  ${END}\n`);
  process.exit(1);
}
const written = `${before.slice(0, begin)}${BEGIN}\n\n${table(variables, PROFILES)}\n${before.slice(end)}`;
// As `prettier --write` would leave it, so that one check never undoes the other.
const after = await format(written, { ...(await resolveConfig(README)), filepath: README });

if (!process.argv.includes('--check')) {
  if (after !== before) writeFileSync(README, after);
} else if (after !== before) {
  process.stderr.write('the table of variables in deploy/README.md is not what variables.ts says; run: npm run docs\n');
  process.exit(1);
}

// Writes the list of all variables into deploy/VARIABLES.md, between its markers, from the compiled
// services/lib/config/variables.ts: `npm run docs`. With --check it changes nothing and fails if the two differ.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';

const DOCUMENT = fileURLToPath(new URL('../VARIABLES.md', import.meta.url));
const COMPILED = new URL('../../.build/services/lib/config/variables.js', import.meta.url);
const BEGIN = '<!-- variables: written by `npm run docs` from services/lib/config/variables.ts -->';
const END = '<!-- /variables -->';

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

if (!existsSync(COMPILED)) {
  process.stderr.write('the sources are not compiled; run: npm run setup\n');
  process.exit(1);
}
const { variables, PROFILES } = await import(COMPILED.href);
const before = readFileSync(DOCUMENT, 'utf8');
const [begin, end] = [before.indexOf(BEGIN), before.indexOf(END)];
if (begin === -1 || end < begin) {
  process.stderr.write(`deploy/VARIABLES.md lacks the lines\n  ${BEGIN}\n  ${END}\n`);
  process.exit(1);
}
const entries = Object.values(variables).map((variable) => entry(variable, PROFILES));
const written = `${before.slice(0, begin)}${BEGIN}\n${entries.join('')}\n${before.slice(end)}`;
// As `prettier --write` would leave it, so that one check never undoes the other.
const after = await format(written, { ...(await resolveConfig(DOCUMENT)), filepath: DOCUMENT, proseWrap: 'always' });

if (!process.argv.includes('--check')) {
  if (after !== before) writeFileSync(DOCUMENT, after);
} else if (after !== before) {
  process.stderr.write('deploy/VARIABLES.md is not what variables.ts says; run: npm run docs\n');
  process.exit(1);
}

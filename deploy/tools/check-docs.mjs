// Checks every Markdown file below a folder (the repository's, if none is named): relative links and their anchors lead
// to what exists, sources that are named in backticks exist, and no row of a table is wider than 160 characters.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const WIDEST_ROW = 160;
const NOT_OURS = new Set(['node_modules', '.git', '.build', '.build-client', '.data', '.local', '.cache']);
/** Names that are gone are its matter. */
const OLD_NAMES = 'CHANGELOG.md';

/** @param {string} folder @returns {string[]} */
const filesIn = (folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return NOT_OURS.has(entry.name) ? [] : filesIn(path);
    return entry.isFile() ? [path] : [];
  });

/** @param {string} path @returns {{ text: string, number: number }[]} its lines, without those of code blocks */
function proseOf(path) {
  let isCode = false;
  return readFileSync(path, 'utf8')
    .split('\n')
    .map((text, index) => ({ text, number: index + 1 }))
    .filter(({ text }) => {
      const isFence = /^\s*```/.test(text);
      if (isFence) isCode = !isCode;
      return !isFence && !isCode;
    });
}

/** @param {string} path @returns {string[]} the anchors that GitHub gives its headings */
function anchorsOf(path) {
  const slugs = proseOf(path).flatMap(({ text }) => {
    const heading = /^#+ (.*)$/
      .exec(text)?.[1]
      ?.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase();
    return heading === undefined ? [] : [heading.replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-')];
  });
  return slugs.map((slug, index) => {
    const before = slugs.slice(0, index).filter((other) => other === slug).length;
    return before === 0 ? slug : `${slug}-${before}`;
  });
}

/** @param {string} path @param {string} target @returns {string[]} what is wrong with a link */
function checkLink(path, target) {
  if (/^[a-z]+:/.test(target)) return [];
  const [file, anchor] = target.split('#');
  const there = file ? join(dirname(path), decodeURIComponent(file)) : path;
  if (!existsSync(there)) return [`${target} does not exist`];
  const page = statSync(there).isDirectory() ? join(there, 'README.md') : there;
  return anchor && !anchorsOf(page).includes(anchor) ? [`${target} is no heading there`] : [];
}

/** @param {string} path @returns {string[]} */
function problemsOf(path) {
  const rows = proseOf(path).filter(({ text }) => text.startsWith('|') && [...text].length > WIDEST_ROW);
  const wide = rows
    .filter(({ number }) => rows.every((row) => row.number !== number - 1))
    .map(({ number }) => `${number}: a row of more than ${WIDEST_ROW} characters: make it a list, or say less in it`);
  const wrong = proseOf(path).flatMap(({ text, number }) => {
    const targets = [...text.replace(/`[^`]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target ?? '');
    const sources = path.endsWith(OLD_NAMES) ? [] : [...text.matchAll(/`([\w./-]+\.(?:ts|mjs|proto))`/g)];
    const gone = sources.filter(([, name]) => !files.some((file) => file.endsWith(`/${name}`)));
    return [
      ...targets.flatMap((target) => checkLink(path, target)),
      ...gone.map(([, name]) => `there is no file ${name}`),
    ].map((problem) => `${number}: ${problem}`);
  });
  return [...wide, ...wrong].map((problem) => `${relative(root, path)}:${problem}\n`);
}

const root = resolve(process.argv[2] ?? fileURLToPath(new URL('../..', import.meta.url)));
const files = filesIn(root);
const problems = files.filter((file) => file.endsWith('.md')).flatMap(problemsOf);
process.stderr.write(problems.join(''));
process.exitCode = problems.length > 0 ? 1 : 0;

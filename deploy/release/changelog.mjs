// deploy/CHANGELOG.md: of each release what has to be done by whom.

/** Who calls the API, who reads our topics, who runs the service. */
const READERS = ['Callers', 'Consumers', 'Operators'];
const UNRELEASED = 'Unreleased';
const RELEASE = /^(\d+\.\d+\.\d+) \((\d{4}-\d{2}-\d{2})\)$/;

/** @param {string} text @param {string} mark @returns {{ title: string, text: string }[]} */
const partsOf = (text, mark) =>
  text
    .split(new RegExp(`^${mark} `, 'm'))
    .slice(1)
    .map((part) => ({ title: part.split('\n', 1)[0]?.trim() ?? '', text: part.slice(part.indexOf('\n') + 1).trim() }));

/** @param {string} text @param {string} version @returns {string | undefined} the day of that release */
export const dayOf = (text, version) =>
  partsOf(text, '##')
    .map(({ title }) => RELEASE.exec(title) ?? [])
    .find((match) => match[1] === version)?.[2];

/** @param {string} a @param {string} b versions, such as 1.10.0 @returns {boolean} */
export function isNewer(a, b) {
  const [left = [], right = []] = [a, b].map((version) => version.split('.').map(Number));
  const at = left.findIndex((number, index) => number !== right[index]);
  return at !== -1 && (left[at] ?? 0) > (right[at] ?? 0);
}

/** @param {string} text @param {string} released the version of the last release @returns {string[]} */
export function changelogProblems(text, released) {
  const sections = partsOf(text, '##');
  const versions = sections.flatMap(({ title }) => RELEASE.exec(title)?.[1] ?? []);
  const problems = sections.flatMap(({ title, text: body }, index) => [
    ...(RELEASE.test(title) || (title === UNRELEASED && index === 0)
      ? []
      : [`"${title}": a section is named as 1.2.3 (2026-12-24), and before its release, at the top, ${UNRELEASED}`]),
    ...readerProblems(title, partsOf(body, '###')),
  ]);
  const unordered = versions.filter((version, index) => index > 0 && !isNewer(versions[index - 1] ?? '', version));
  return [
    ...problems,
    ...unordered.map((version) => `${version} stands below an older release: the newest is the first`),
    ...(versions.includes(released) ? [] : [`${released} was released, and has no section any more: put it back`]),
  ].map((problem) => `deploy/CHANGELOG.md: ${problem}`);
}

/** @param {string} section @param {{ title: string, text: string }[]} parts @returns {string[]} */
function readerProblems(section, parts) {
  const titles = parts.map(({ title }) => title);
  if (titles.join() !== READERS.join())
    return [
      `${section}: its headings are ### ${READERS.join(', ### ')}, in this order, and under each what they must do; "Nothing." too`,
    ];
  return parts.flatMap(({ title, text }) =>
    text === '' ? [`${section}, ${title}: is empty; "Nothing." says it`] : [],
  );
}

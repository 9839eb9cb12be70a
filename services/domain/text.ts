/** Ends a text of which the rest is left out. */
const SIGN = '…';
/**
 * UTF-16 units on each side of a cut that are looked at: a family of four has 11, and segmenting a whole message takes
 * 50 ms.
 */
const AROUND_CUT = 128;

const clusters = new Intl.Segmenter('und', { granularity: 'grapheme' });

/** Characters as people count them for a limit: Unicode code points. */
export function characters(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

export function longerThan(text: string, limit: number): boolean {
  // A string has at most as many code points as UTF-16 units, so most need no counting.
  return text.length > limit && characters(text) > limit;
}

/**
 * A text of at most so many characters: cut between two grapheme clusters, and ended by a sign. A cluster that is
 * longer than any real one is cut between two characters.
 */
export function shorten(text: string, limit: number): string {
  if (!longerThan(text, limit)) return text;
  const at = unitsOf(text, limit - SIGN.length);
  const from = startOfCharacter(text, Math.max(0, at - AROUND_CUT));
  const cluster = clusters.segment(text.slice(from, at + AROUND_CUT)).containing(at - from);
  const end = cluster === undefined || (cluster.index === 0 && from > 0) ? at : from + cluster.index;
  return copyOf(text.slice(0, end).trimEnd() + SIGN);
}

/**
 * The first so many characters and the sign, wherever that cuts: one character more than is allowed, for what is not
 * taken but shown.
 */
export function cutAfter(text: string, count: number): string {
  return longerThan(text, count) ? copyOf(text.slice(0, unitsOf(text, count)) + SIGN) : text;
}

/** A slice keeps the whole text in memory for as long as the alert waits. */
function copyOf(slice: string): string {
  return Buffer.from(slice).toString();
}

/** How many UTF-16 units the first so many characters have. */
function unitsOf(text: string, count: number): number {
  let units = 0;
  for (let left = count; left > 0 && units < text.length; left -= 1) units += text.codePointAt(units)! > 0xffff ? 2 : 1;
  return units;
}

function startOfCharacter(text: string, at: number): number {
  const isSecondHalf = at > 0 && /[\uDC00-\uDFFF]/.test(text[at] ?? '') && /[\uD800-\uDBFF]/.test(text[at - 1]!);
  return isSecondHalf ? at - 1 : at;
}

/**
 * What can move the cursor, recolour, or turn the direction of a terminal's text: C0, DEL, C1, line and paragraph
 * separators, and Unicode's bidirectional controls (embeddings, overrides, isolates, marks).
 */
export const MOVES_TERMINAL = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Text from elsewhere for a terminal: every control character as a visible escape, but line breaks and tabs. */
export function manyLines(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(MOVES_TERMINAL, (char) => (char === '\n' || char === '\t' ? char : visibleEscape(char)));
}

/** Of one UTF-16 unit: `\x1b`, `\u202e`. */
export function visibleEscape(char: string): string {
  const code = char.charCodeAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** White space, control and format characters, and what shows as nothing: fillers, joiners, the empty Braille cell. */
const UNSEEN = /^[\p{White_Space}\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u2800]*$/u;

/** Whether nothing of a text can be seen. */
export function isBlank(text: string): boolean {
  return UNSEEN.test(text);
}

/** One line: line breaks and other control characters become spaces. A text that has none stays as it is. */
export function onOneLine(text: string): string {
  const controls = /[\p{Cc}\u2028\u2029]+/gu;
  return controls.test(text) ? text.replace(controls, ' ').trim() : text;
}

/** Without what PostgreSQL cannot store. */
export function withoutNul(text: string): string {
  return text.replaceAll('\0', '\uFFFD');
}

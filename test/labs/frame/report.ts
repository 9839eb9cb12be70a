// How results read in a document.
import { readFile, writeFile } from 'node:fs/promises';

/** A Markdown table as prettier writes it. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string[] {
  const widths = head.map((title, column) =>
    Math.max(3, ...[head, ...rows].map((row) => (row[column] ?? title).length)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => (right.includes(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join(' | ')} |`;
  const rule = widths.map((width, i) => (right.includes(i) ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width)));
  return [line(head), line(rule), ...rows.map(line)];
}

const MARKERS = ['<!-- figures: begin -->', '<!-- figures: end -->'] as const;

/** Puts tables between the markers of a README. @throws if it has none */
export async function writeFigures(readme: string, markdown: string): Promise<void> {
  const text = await readFile(readme, 'utf8');
  const [begin, end] = MARKERS.map((marker) => text.indexOf(marker)) as [number, number];
  if (begin < 0 || end < begin) throw new Error(`${readme} lacks the markers ${MARKERS.join(' and ')}`);
  await writeFile(readme, `${text.slice(0, begin + MARKERS[0].length)}\n\n${markdown}\n${text.slice(end)}`);
}

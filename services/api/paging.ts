import { AlertError, invalidArgument } from '../domain/errors.js';

const PAGE_DEFAULT = 50;
const PAGE_MAX = 500;

/** @throws AlertError INVALID_ARGUMENT for a size outside 0 to 500 */
export function readPageSize(pageSize: number): number {
  if (pageSize < 0 || pageSize > PAGE_MAX) {
    throw invalidArgument([
      { field: 'page_size', description: `must be 1 to ${PAGE_MAX}, or 0 for ${PAGE_DEFAULT}, not ${pageSize}` },
    ]);
  }
  return pageSize === 0 ? PAGE_DEFAULT : pageSize;
}

/** Every gRPC library refuses messages above 4 MiB unless told otherwise. */
const PAGE_BYTES = 3 * 1_048_576;
/** Rows of one statement: of the largest alerts they are some 25 MB. */
const PORTION = 100;

/** A page ends after so long, if a filter leaves little of much. */
const PAGE_MS = 1000;

/** Rows that were found among some, and the key behind which there may be more. */
interface Portion<Row, Key> {
  readonly rows: readonly Row[];
  readonly next: Key | undefined;
}

export interface PageRows<Row, Key extends string | number> {
  /** How many rows the page may have. */
  readonly limit: number;
  /** Where it begins. */
  readonly from: Key;
  /** Reads at most `limit` rows behind a key: those that are next, or what a filter leaves of some. */
  readonly read: (behind: Key, limit: number) => Promise<readonly Row[] | Portion<Row, Key>>;
  readonly keyOf: (row: Row) => Key;
  /** At most so many bytes in the response. */
  readonly bytesOf: (row: Row) => number;
}

/**
 * The rows of a page, which ends at `limit`, at 3 MiB or after 1 s, and the token of the next one; empty if there is
 * none.
 */
export async function readPage<Row, Key extends string | number>(
  page: PageRows<Row, Key>,
): Promise<{ rows: Row[]; nextPageToken: string }> {
  const { limit, read, keyOf, bytesOf } = page;
  const rows: Row[] = [];
  let bytes = 0;
  const until = performance.now() + PAGE_MS;
  for (let behind = page.from; ;) {
    const wanted = Math.min(PORTION, limit + 1 - rows.length);
    const answer = await read(behind, wanted);
    const portion =
      'rows' in answer ? answer : { rows: answer, next: answer.length < wanted ? undefined : keyOf(answer.at(-1)!) };
    for (const row of portion.rows) {
      bytes += bytesOf(row);
      if (rows.length === limit || (rows.length > 0 && bytes > PAGE_BYTES))
        return { rows, nextPageToken: writePageToken(keyOf(rows.at(-1)!)) };
      rows.push(row);
    }
    if (portion.next === undefined) return { rows, nextPageToken: '' };
    if (performance.now() > until) return { rows, nextPageToken: writePageToken(portion.next) };
    behind = portion.next;
  }
}

/** A page token is the key of the page's last row. */
function writePageToken(key: string | number): string {
  return Buffer.from(JSON.stringify([key])).toString('base64url');
}

/** @throws AlertError INVALID_ARGUMENT if it is no token of `kind` */
export function readPageToken<K extends 'number' | 'string'>(
  token: string,
  kind: K,
): (K extends 'number' ? number : string) | undefined {
  if (token === '') return undefined;
  try {
    const parsed = JSON.parse(Buffer.from(token, 'base64url').toString()) as unknown;
    const [key] = Array.isArray(parsed) && parsed.length === 1 ? (parsed as unknown[]) : [];
    if (typeof key === kind && (typeof key !== 'number' || Number.isSafeInteger(key))) return key as never;
  } catch {
    // Reported below, as any other token that we did not make.
  }
  throw new AlertError(
    'INVALID_ARGUMENT',
    'PAGE_TOKEN_INVALID',
    'page_token is not one that this method returned; send it unchanged, or none',
    {
      violations: [{ field: 'page_token', description: 'must be the next_page_token of the page before' }],
    },
  );
}

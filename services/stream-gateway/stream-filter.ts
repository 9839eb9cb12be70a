import type { AlertKind, ChangeType } from '../domain/alert.js';
import type { EncodedAlert } from './alert-contents.js';

/** Which changes a stream sends. */
export class StreamFilter {
  readonly #kinds: ReadonlySet<AlertKind>;

  constructor(
    kinds: readonly AlertKind[],
    private readonly minimumRank: number,
    private readonly unreadOnly: boolean,
  ) {
    this.#kinds = new Set(kinds);
  }

  /**
   * Whether a change is sent. Rows that left (deleted; read, under unread only) are sent so that the client drops them,
   * unless it cannot have seen them: they came behind `knownUpTo`, up to which it has examined everything.
   */
  passes(
    change: ChangeType,
    isRead: boolean,
    createdSequence: number,
    knownUpTo: number,
    content: EncodedAlert | undefined,
  ): boolean {
    const left = change === 'DELETED' || (this.unreadOnly && isRead);
    if (left && createdSequence > knownUpTo) return false;
    if (content === undefined) return change === 'DELETED';
    return content.rank >= this.minimumRank && (this.#kinds.size === 0 || this.#kinds.has(content.kind));
  }
}

/** Changes that all streams together may buffer, about 30 MB; without room a stream reads PostgreSQL later. */
export const BUFFERED_MAX = 100_000;

/** What waits in all streams of a gateway together, for pages from PostgreSQL or for slow clients. */
export class StreamBudget {
  #buffered = 0;
  #pending = 0;

  /** Changes that are buffered. */
  get buffered(): number {
    return this.#buffered;
  }

  /** Bytes of responses that no client has taken yet. */
  get pending(): number {
    return this.#pending;
  }

  /** Whether so many more changes may be buffered; `release` gives them back. */
  reserve(changes: number): boolean {
    if (this.#buffered + changes > BUFFERED_MAX) return false;
    this.#buffered += changes;
    return true;
  }

  release(changes: number): void {
    this.#buffered -= changes;
  }

  /** So many bytes more, or fewer, wait for clients. */
  wait(bytes: number): void {
    this.#pending += bytes;
  }
}

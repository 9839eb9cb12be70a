import { AlertError } from '../../domain/errors.js';

const RETRY_MS = 500;

export interface RunningCallsOptions {
  /** Calls that somebody may have at once; a batch counts as its items. */
  readonly max: (subject: string) => number;
  /** Whose calls, for the message. */
  readonly of: string;
  readonly onRefused: () => void;
}

/** How many calls each caller has running. */
export class RunningCalls {
  readonly #running = new Map<string, number>();

  constructor(private readonly options: RunningCallsOptions) {}

  /** What a call is refused with, and counts; undefined if there is room. A key has the room of its subject. */
  refusal(key: string, weight = 1, subject = key): AlertError | undefined {
    const { of, onRefused } = this.options;
    const running = this.#running.get(key) ?? 0;
    const max = this.options.max(subject);
    if (running === 0 || running + weight <= max) return undefined;
    onRefused();
    const message = `${running} calls of this ${of} are running already, of at most ${max}; a batch counts as its items`;
    return new AlertError('RESOURCE_EXHAUSTED', 'TOO_MANY_CALLS', `${message}; try again later`, {
      retryAfterMs: RETRY_MS,
    });
  }

  /**
   * Notes a call that begins. One that is larger than the bound runs alone, since it could never run otherwise.
   * @returns to be called when it has ended
   * @throws AlertError RESOURCE_EXHAUSTED with RetryInfo (TOO_MANY_CALLS)
   */
  enter(key: string, weight = 1, subject = key): () => void {
    const refusal = this.refusal(key, weight, subject);
    if (refusal !== undefined) throw refusal;
    const running = this.#running.get(key) ?? 0;
    this.#running.set(key, running + weight);
    return () => {
      const left = this.#running.get(key)! - weight;
      if (left > 0) this.#running.set(key, left);
      else this.#running.delete(key);
    };
  }
}

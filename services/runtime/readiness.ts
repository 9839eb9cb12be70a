import type { Readiness } from '../lib/http.js';
import { every } from '../lib/lifecycle.js';
import type { Logger } from '../lib/logging.js';
import { untilItWorks, wait } from '../lib/retry.js';

/** What a role wants, and whether it is there, as /readyz shows it. */
export class RoleReadiness {
  readonly #checks = new Map<string, Readiness>();

  constructor(
    private readonly logger: Logger,
    /** What this role wants but can do without: its absence shows and leaves the role ready. */
    private readonly optional: ReadonlySet<string>,
    private readonly onChange: (ready: boolean) => void,
  ) {}

  get checks(): ReadonlyMap<string, Readiness> {
    return this.#checks;
  }

  /** Says whether something that this role wants is there; whether the role is ready follows. */
  set(name: string, ok: boolean, reason: string): void {
    this.#checks.set(name, { ok, reason, required: !this.optional.has(name) });
    this.onChange(this.#isReady);
  }

  /** Shows something that does not decide whether the role is ready. */
  show(name: string, ok: boolean, reason: string): void {
    this.#checks.set(name, { ok, reason, required: false });
  }

  get #isReady(): boolean {
    return [...this.#checks.values()].every(({ ok, required }) => ok || !required);
  }

  /** Resolves when everything that is required is there. */
  async whenReady(signal: AbortSignal): Promise<void> {
    // Roles register what they need as they start, so being ready must last for a moment.
    for (let steady = 0; steady < 3;) {
      signal.throwIfAborted();
      await wait(20, signal);
      steady = this.#checks.size > 0 && this.#isReady ? steady + 1 : 0;
    }
  }

  /**
   * Tries until it works; readiness follows.
   * @throws the signal's reason
   */
  async untilItWorks<T>(what: string, where: string, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    this.set(what, false, `waiting for ${where}`);
    const result = await untilItWorks(attempt, {
      signal,
      onFailure: (error, waitMs) => {
        this.set(what, false, error.message);
        this.logger.warn({ what, where, reason: error.message, waitMs }, 'not there yet; trying again');
      },
    });
    this.set(what, true, where);
    return result;
  }

  /** Asks again and again whether something is still there; readiness follows. */
  watch(what: string, where: string, intervalMs: number, signal: AbortSignal, probe: () => Promise<void>): void {
    void every(
      intervalMs,
      signal,
      async () => {
        try {
          await probe();
          this.#report(what, where, undefined);
        } catch (error) {
          if (!signal.aborted) this.#report(what, where, error as Error);
        }
      },
      () => undefined,
    );
  }

  #report(what: string, where: string, error: Error | undefined): void {
    const before = this.#checks.get(what)?.ok ?? false;
    this.set(what, error === undefined, error?.message ?? where);
    if (before && error !== undefined) this.logger.warn({ what, reason: error.message }, 'it went away');
    if (!before && error === undefined) this.logger.info({ what }, 'it is back');
  }
}

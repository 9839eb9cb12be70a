import type { Readiness } from '../lib/http.js';
import { every } from '../lib/lifecycle.js';
import type { Logger } from '../lib/logging.js';
import { RepeatedRefusals } from '../lib/repeated-refusals.js';
import { untilItWorks } from '../lib/retry.js';

/** Something is there and refuses us: it stays so until somebody mends what the message names. */
export class Refused extends Error {
  readonly refusesUs = true;
}

function isRefusal(error: Error & { refusesUs?: boolean }): boolean {
  return error.refusesUs === true;
}

/**
 * What a role wants, and whether it is there, as /readyz and grpc.health.v1 show it. A check is known when it was made,
 * so the process is not ready before each of its roles has said that it made all of its own.
 */
export class RoleReadiness {
  readonly #checks = new Map<string, Readiness>();
  readonly #refusals = new Map<string, RepeatedRefusals>();
  /** What was said to be away, and not to be there again. */
  readonly #missed = new Set<string>();
  readonly #starting: Set<string>;
  #isEnding = false;
  #said = false;
  readonly #whenReady: (() => void)[] = [];

  constructor(
    private readonly logger: Logger,
    /** What this role wants but can do without: its absence shows and leaves the role ready. */
    private readonly optional: ReadonlySet<string>,
    /** The roles of this process. */
    roles: readonly string[],
    private readonly onChange: (ready: boolean) => void,
  ) {
    this.#starting = new Set(roles);
  }

  get checks(): ReadonlyMap<string, Readiness> {
    const reason = this.#isEnding ? 'shutting down' : `${[...this.#starting].join(', ')} starting`;
    // Where something is away, that says more.
    const shown = this.#isEnding || (this.#starting.size > 0 && this.#isAllThere);
    return shown ? new Map([...this.#checks, ['role', { ok: false, reason, required: true }]]) : this.#checks;
  }

  /** Says whether something that this role wants is there; whether the role is ready follows. */
  set(name: string, ok: boolean, reason: string): void {
    this.#checks.set(name, { ok, reason, required: !this.optional.has(name) });
    this.#say();
  }

  /** A part of something refuses us. It is in the log; in a check only where all of it is away. */
  refused(name: string, reason: string): void {
    const isThere = this.#checks.get(name)?.ok ?? false;
    if (!isThere) this.set(name, false, reason);
    // While other parts answer that ends no refusal of this one.
    if (this.#isNews(isThere ? `a part of ${name}` : name, reason))
      this.logger.error({ what: name, reason }, 'it refuses us');
  }

  /** Shows something that does not decide whether the role is ready. */
  show(name: string, ok: boolean, reason: string): void {
    this.#checks.set(name, { ok, reason, required: false });
    this.#say();
  }

  /** A role of this process has made all of its checks. */
  started(role: string): void {
    this.#starting.delete(role);
    this.#say();
  }

  /** It will not be ready again. */
  end(): void {
    this.#isEnding = true;
    this.#say();
  }

  #say(): void {
    const ready = this.#isReady;
    if (ready === this.#said) return;
    this.#said = ready;
    this.onChange(ready);
    if (ready) for (const resolve of this.#whenReady.splice(0)) resolve();
  }

  get #isAllThere(): boolean {
    return [...this.#checks.values()].every(({ ok, required }) => ok || !required);
  }

  get #isReady(): boolean {
    return !this.#isEnding && this.#starting.size === 0 && this.#isAllThere;
  }

  /** Resolves when everything that is required is there. @throws the signal's reason */
  async whenReady(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#isReady) return;
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => reject(signal.reason as Error);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#whenReady.push(() => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      });
    });
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
        const reason = error.message;
        if (!isRefusal(error)) this.logger.warn({ what, where, reason, waitMs }, 'not there yet; trying again');
        else if (this.#isNews(what, reason))
          this.logger.error({ what, where, reason, waitMs }, 'it refuses us; trying again');
      },
    });
    this.set(what, true, where);
    this.#found(what);
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
    if (error === undefined) return this.#found(what);
    const reason = error.message;
    if (before) this.#missed.add(what);
    if (isRefusal(error)) {
      if (this.#isNews(what, reason)) this.logger.error({ what, reason }, 'it refuses us now');
    } else if (before) this.logger.warn({ what, reason }, 'it went away');
  }

  /** Whether a refusal is not the one that came with the try before. */
  #isNews(what: string, reason: string): boolean {
    const refusals = this.#refusals.get(what) ?? new RepeatedRefusals();
    this.#refusals.set(what, refusals);
    return refusals.note(reason);
  }

  /** What was said of it before holds no more; where nothing was, there is nothing to say. */
  #found(what: string): void {
    const refusals = this.#refusals.get(what)?.end() ?? 0;
    const wasMissed = this.#missed.delete(what);
    if (refusals > 0) this.logger.info({ what, refusals }, 'it lets us in now');
    else if (wasMissed) this.logger.info({ what }, 'it is back');
  }
}

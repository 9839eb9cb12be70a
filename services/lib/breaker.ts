import CircuitBreaker from 'opossum';

export type BreakerState = 'closed' | 'half-open' | 'open';

/** Calls were refused at once because the last ones failed. Nothing was asked of the other side. */
export class CircuitOpen extends Error {
  readonly code = 'ECIRCUITOPEN';

  constructor(readonly what: string) {
    super(`${what} has failed again and again; it is asked again in a moment`);
    this.name = 'CircuitOpen';
  }
}

/** A call of several steps. It counts once: what is said of its end after the first time is ignored. */
export interface BreakerCall {
  /** It is done, or has failed. */
  ended(error?: Error): void;
  /** It ended before the other side was asked anything. */
  neverSent(): void;
}

/** Nothing was heard of the other side: no success, and counted only where one call is to try it. */
const NEVER_SENT = new Error('the other side was not asked');

export interface BreakerOptions {
  /** What is behind it, for messages. */
  readonly what: string;
  /** Whether an error means that the other side is away, rather than that this call was wrong. */
  readonly isOutage: (error: unknown) => boolean;
  readonly onChange?: (state: BreakerState) => void;
}

/** Share of failures, in percent, and how many calls within WINDOW_MS there must be, until it opens. */
const THRESHOLD_PERCENT = 50;
const VOLUME = 5;
const WINDOW_MS = 5000;
/** Others of one call that are counted. */
const SHARED_MAX = 50;
/** How long it stays open before one call is let through. */
const RESET_MS = 1000;

/**
 * A circuit breaker: while the other side is away nobody waits for its time-out. Closed, it lets all calls through;
 * open, it refuses them; half open, for as long as nobody calls, it lets one through and follows its outcome.
 */
export class Breaker {
  readonly #circuit: CircuitBreaker<[() => Promise<unknown>]>;
  #state: BreakerState = 'closed';
  /** The one call that a half-open breaker has let through, while it is on its way. */
  #trial: object | undefined;
  #refusal: CircuitOpen | undefined;
  readonly #openListeners: (() => void)[] = [];

  constructor(private readonly options: BreakerOptions) {
    this.#circuit = new CircuitBreaker((work: () => Promise<unknown>) => this.#letThrough(work), {
      timeout: false, // the clients behind it have time-outs of their own, which stop the call too
      errorThresholdPercentage: THRESHOLD_PERCENT,
      volumeThreshold: VOLUME,
      rollingCountTimeout: WINDOW_MS,
      rollingCountBuckets: 10,
      rollingPercentilesEnabled: false,
      resetTimeout: RESET_MS,
      errorFilter: (error) => error !== NEVER_SENT && !options.isOutage(error),
    });
    this.#circuit.on('open', () => this.#become('open'));
    this.#circuit.on('halfOpen', () => this.#become('half-open'));
    this.#circuit.on('close', () => this.#become('closed'));
  }

  get state(): BreakerState {
    return this.#state;
  }

  /**
   * How others find it: while the one call that tries the other side is on its way they are refused, as by an open one.
   * Where the other side hangs that is nearly always.
   */
  get shownState(): BreakerState {
    return this.#trial === undefined ? this.#state : 'open';
  }

  #letThrough<T>(work: () => Promise<T>): Promise<T> {
    return this.#state === 'half-open' ? this.#try(work) : work();
  }

  async #try<T>(work: () => Promise<T>): Promise<T> {
    const trial = {};
    this.#trial = trial;
    try {
      return await work();
    } finally {
      if (this.#trial === trial) this.#trial = undefined;
    }
  }

  #become(state: BreakerState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#trial = undefined;
    this.#refusal = undefined;
    this.options.onChange?.(state);
    if (state === 'open') for (const listener of this.#openListeners) listener();
  }

  /** For whoever keeps calls waiting of its own: told each time it opens, to refuse them. */
  onOpen(listener: () => void): void {
    this.#openListeners.push(listener);
  }

  /** What a call is refused with while it is open, or another call tries the other side; undefined: it may be made. */
  get refusal(): CircuitOpen | undefined {
    if (this.shownState !== 'open') return undefined;
    // One error while it is open: who is refused a hundred times logs it once.
    this.#refusal ??= new CircuitOpen(this.options.what);
    return this.#refusal;
  }

  /** @throws CircuitOpen at once while it is open; else what `work` throws */
  async run<T>(work: () => Promise<T>): Promise<T> {
    try {
      return (await this.#circuit.fire(work)) as T;
    } catch (error) {
      if ((error as { code?: unknown }).code === 'EOPENBREAKER') throw new CircuitOpen(this.options.what);
      throw error;
    }
  }

  /** Begins a call. @throws CircuitOpen at once while it is open, or another call tries the other side */
  begin(): BreakerCall {
    if (this.#state === 'closed') return this.#counted();
    if (this.shownState === 'open') throw new CircuitOpen(this.options.what);
    return this.#trialCall();
  }

  #counted(): BreakerCall {
    let open = true;
    return {
      ended: (error) => {
        if (open) this.#count(error);
        open = false;
      },
      neverSent: () => (open = false),
    };
  }

  #count(error: Error | undefined): void {
    const outcome = () => (error === undefined ? Promise.resolve() : Promise.reject(error));
    this.#circuit.fire(outcome).catch(() => undefined);
  }

  #trialCall(): BreakerCall {
    let settle!: (error?: Error) => void;
    const outcome = new Promise<void>((resolve, reject) => {
      settle = (error) => (error === undefined ? resolve() : reject(error));
    });
    this.#circuit.fire(() => outcome).catch(() => undefined);
    return { ended: settle, neverSent: () => settle(NEVER_SENT) };
  }

  /**
   * Others shared a call that failed: they count as if each had made it. Otherwise it would never open where many wait
   * for few calls. @param callers how many others
   */
  failedToo(error: unknown, callers: number): void {
    for (let count = 0; count < Math.min(callers, SHARED_MAX); count += 1) this.#count(error as Error);
  }

  /** The other side has answered somebody who asks past it: it closes, also where no call comes that could be tried. */
  recovered(): void {
    this.#circuit.close();
  }

  /** Somebody who asks past it has found that the other side is away: it opens, however few calls have failed. */
  away(): void {
    if (!this.#circuit.isShutdown) this.#circuit.open();
  }

  close(): void {
    this.#circuit.shutdown();
  }
}

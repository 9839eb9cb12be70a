import type { Logger } from '../lib/logging.js';
import type { Database } from '../lib/postgres.js';
import { wait } from '../lib/retry.js';
import { removeDeadDevices } from '../store/devices.js';
import { finishPushes, type PushOutcome } from '../store/pushes.js';

/** How long outcomes gather before they are stored together, and how many at most. */
const GATHER_MS = 20;
const BATCH = 500;
const RETRY_CAP_MS = 1000;

/** A device that FCM does not know any more, as of the time at which it was read (milliseconds, PostgreSQL's clock). */
export interface DeadDevice {
  readonly deviceId: number;
  readonly asOf: number;
}

/**
 * Stores what became of claims, many in a statement. While PostgreSQL is away they wait here; nothing is claimed meanwhile.
 * What is lost with the process is claimed and sent again, under the same collapse key.
 */
export class OutcomeWriter {
  #outcomes: PushOutcome[] = [];
  #dead: DeadDevice[] = [];
  #writing: Promise<void> | undefined;
  readonly #stopped = new AbortController();

  constructor(
    private readonly database: Database,
    private readonly logger: Logger,
    private readonly onRemoved: (devices: number) => void,
  ) {}

  note(outcomes: readonly PushOutcome[], dead: readonly DeadDevice[] = []): void {
    for (const outcome of outcomes) this.#outcomes.push(outcome);
    this.#dead.push(...dead);
    this.#writing ??= this.#write();
  }

  get waiting(): number {
    return this.#outcomes.length;
  }

  /** Stores what is left, in so many milliseconds at most; then gives up. */
  async stop(withinMs: number): Promise<void> {
    const over = new AbortController();
    await Promise.race([this.#writing, wait(withinMs, over.signal)]);
    over.abort();
    this.#stopped.abort();
  }

  async #write(): Promise<void> {
    let failures = 0;
    while (this.#outcomes.length > 0 && !this.#stopped.signal.aborted) {
      await wait(Math.min(RETRY_CAP_MS, GATHER_MS * 2 ** failures), this.#stopped.signal);
      try {
        await this.#writeBatch();
        failures = 0;
      } catch (error) {
        failures += 1;
        this.logger.warn({ err: error, outcomes: this.#outcomes.length }, 'what became of pushes could not be stored');
      }
    }
    // Here, and not behind the promise: what is noted in between would find somebody who has left already.
    this.#writing = undefined;
  }

  async #writeBatch(): Promise<void> {
    const outcomes = this.#outcomes.slice(0, BATCH);
    const dead = this.#dead.slice(0, BATCH);
    await finishPushes(this.database, outcomes);
    if (dead.length > 0) this.onRemoved(await removeDeadDevices(this.database, dead));
    this.#outcomes = this.#outcomes.slice(outcomes.length);
    this.#dead = this.#dead.slice(dead.length);
  }
}

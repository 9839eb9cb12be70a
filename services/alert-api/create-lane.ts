import type { NewAlert, StoredAlert } from '../domain/alert.js';
import { Batcher } from '../lib/batcher.js';
import { FairQueue } from '../lib/fair-queue.js';
import { isDataError } from '../lib/postgres-errors.js';
import { wait } from '../lib/retry.js';
import type { Reach } from '../store/alerts.js';

export interface CreateResult {
  readonly alert: StoredAlert;
  readonly replayed: boolean;
  readonly reach: Reach;
}

/** A request that waits for its answer. */
export interface Waiting {
  readonly request: NewAlert;
  /** How long it takes PostgreSQL, in characters of text. */
  readonly cost: number;
  readonly resolve: (result: CreateResult) => void;
  readonly reject: (error: Error) => void;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal | undefined;
}

export interface CreateLaneOptions {
  readonly writersMax: number;
  readonly batchMax: number;
  /** Takes a request into the batch that is being made; false leaves it out. */
  readonly accept: (waiting: Waiting) => boolean;
  /** While it says so one writer takes small batches, and pauses for as long as it has worked. */
  readonly isModest: () => boolean;
  readonly work: (batch: readonly Waiting[]) => Promise<void>;
  readonly failed: (waiting: Waiting, error: Error) => void;
}

/** No request joins a statement beyond it: 160 alerts take some 15 ms, and those that come meanwhile wait for them. */
const BATCH_COST = 100_000;
/** The same of a modest lane: what 160 results take on the event loop others would notice. */
const MODEST_BATCH_COST = 25_000;

/** A statement that waited for a lock has worked for less. */
const REST_MAX_MS = 200;

/** What waits for one kind of statement, and those who write it: the callers by turns, a bounded cost at a time. */
export class CreateLane {
  readonly #queue = new FairQueue<Waiting>();
  readonly #writers: Batcher<Waiting>;

  constructor(private readonly options: CreateLaneOptions) {
    const { isModest, writersMax } = options;
    this.#writers = new Batcher({
      workersMax: () => (isModest() ? 1 : writersMax),
      take: () => this.#take(),
      work: (batch) => this.#write(batch),
    });
  }

  /** Whose signal aborts before it is begun, it is dropped. */
  add(waiting: Waiting): void {
    const { signal, request, cost, reject } = waiting;
    if (signal?.aborted) return reject(signal.reason as Error);
    const remove = this.#queue.push(request.caller, waiting, cost);
    signal?.addEventListener('abort', () => remove() && reject(signal.reason as Error), { once: true });
    this.#writers.wake();
  }

  /** Takes everything that no writer has taken yet. */
  drain(): Waiting[] {
    return this.#queue.drain();
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    const started = performance.now();
    await this.#process(batch);
    if (this.options.isModest()) await wait(Math.min(REST_MAX_MS, performance.now() - started));
  }

  #take(): Waiting[] {
    const { batchMax, accept, isModest } = this.options;
    const costMax = isModest() ? MODEST_BATCH_COST : BATCH_COST;
    const batch: Waiting[] = [];
    for (let cost = 0; batch.length < batchMax && cost < costMax;) {
      const next = this.#queue.take();
      if (next === undefined) break;
      if (!accept(next.item)) continue;
      cost += next.cost;
      batch.push(next.item);
    }
    return batch;
  }

  async #process(batch: readonly Waiting[]): Promise<void> {
    const { work, failed } = this.options;
    try {
      await work(batch);
    } catch (error) {
      // A statement that fails as such may be one request's fault; alone it is known which.
      if (batch.length > 1 && isDataError(error)) {
        const middle = batch.length >> 1;
        await this.#process(batch.slice(0, middle));
        await this.#process(batch.slice(middle));
        return;
      }
      for (const waiting of batch) failed(waiting, error as Error);
    }
  }
}

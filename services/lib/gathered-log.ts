import type { Logger } from './logging.js';

const INTERVAL_MS = 1000;

/**
 * Warnings of one kind that come in crowds (600 lines in two seconds when Kafka was recreated): the first at once, then
 * one an interval with the newest's fields and the count since the last.
 */
export class GatheredLog {
  #untold = 0;
  #newest: () => object = () => ({});
  #timer: NodeJS.Timeout | undefined;

  /** @param counted the field that has the count */
  constructor(
    private readonly logger: Pick<Logger, 'warn'>,
    private readonly message: string,
    private readonly counted: string,
    private readonly options: {
      /** Default 1 s. */
      readonly intervalMs?: number;
      /** Called when an interval has passed in which there was nothing to tell. */
      readonly onQuiet?: () => void;
    } = {},
  ) {}

  /** @param fields asked for only if the line is written */
  warn(count: number, fields: () => object): void {
    this.#untold += count;
    this.#newest = fields;
    if (this.#timer === undefined) this.#write();
  }

  /** Writes what is not told yet: the process ends. */
  flush(): void {
    if (this.#untold > 0) this.#write();
  }

  #write(): void {
    this.logger.warn({ ...this.#newest(), [this.counted]: this.#untold }, this.message);
    this.#untold = 0;
    this.#newest = () => ({});
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#untold > 0) this.#write();
      else this.options.onQuiet?.();
    }, this.options.intervalMs ?? INTERVAL_MS).unref();
  }
}

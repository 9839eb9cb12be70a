import { TraceFlags } from '@opentelemetry/api';
import type { tracing as sdk } from '@opentelemetry/sdk-node';
import type { Logger } from '../logging.js';

export interface SpanQueueOptions {
  /** Spans that may wait; one more is dropped. */
  readonly queueMax: number;
  /** Spans of one export. */
  readonly batchMax: number;
  /** How long spans gather. */
  readonly delayMs: number;
  /** How long an export may take; afterwards its spans count as dropped and the next one begins. */
  readonly timeoutMs: number;
  readonly logger: Logger;
}

/** What has become of spans so far. */
export interface SpanCounts {
  ended: number;
  /** The queue was full: the collector is slower than we. */
  queueFull: number;
  /** The collector did not take them, or not in time. */
  exportFailed: number;
  /** The process ended before the collector had them, or they ended after it. */
  shutdown: number;
}

/** The SDK's ExportResultCode.SUCCESS; its enum would have to be loaded. */
const SUCCESS = 0;
/** That the collector is away is logged at most this often. */
const WARN_MS = 60_000;
/** How long the last spans may take at the end. */
const CLOSE_MS = 1000;

/**
 * Gathers ended spans and exports them in batches, one after the other. It does what the SDK's BatchSpanProcessor does,
 * and counts what it drops. Nobody ever waits for it: a collector that hangs costs this queue and one batch.
 */
export class SpanQueue implements sdk.SpanProcessor {
  readonly counts: SpanCounts = { ended: 0, queueFull: 0, exportFailed: 0, shutdown: 0 };
  #waiting: sdk.ReadableSpan[] = [];
  #timer: NodeJS.Timeout | undefined;
  #exporting: Promise<void> | undefined;
  /** Spans of the export that is on its way. */
  #underWay = 0;
  #warnedAt = -WARN_MS;
  #closed = false;

  constructor(
    private readonly exporter: sdk.SpanExporter,
    private readonly options: SpanQueueOptions,
  ) {}

  /** Spans that are not handed over yet. */
  get waiting(): number {
    return this.#waiting.length;
  }

  onStart(): void {
    // Only what has ended is sent.
  }

  onEnd(span: sdk.ReadableSpan): void {
    if (!(span.spanContext().traceFlags & TraceFlags.SAMPLED)) return;
    this.counts.ended += 1;
    if (this.#closed) {
      this.counts.shutdown += 1;
      return;
    }
    if (this.#waiting.length >= this.options.queueMax) {
      this.counts.queueFull += 1;
      return;
    }
    this.#waiting.push(span);
    if (this.#exporting !== undefined) return;
    if (this.#waiting.length >= this.options.batchMax) this.#next();
    else this.#timer ??= setTimeout(() => this.#next(), this.options.delayMs).unref();
  }

  #next(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#exporting !== undefined || this.#waiting.length === 0) return;
    this.#exporting = this.#export(this.#waiting.splice(0, this.options.batchMax)).then(() => {
      this.#exporting = undefined;
      // A rest that fills no batch gathers again.
      if (this.#waiting.length >= this.options.batchMax) setImmediate(() => this.#next());
      else if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => this.#next(), this.options.delayMs).unref();
    });
  }

  #export(spans: sdk.ReadableSpan[]): Promise<void> {
    this.#underWay = spans.length;
    return new Promise((resolve) => {
      let settled = false;
      const settle = (error?: Error) => {
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        // After the end they are counted already.
        if (error !== undefined && this.#underWay > 0) this.#failed(spans.length, error);
        this.#underWay = 0;
        resolve();
      };
      const { timeoutMs } = this.options;
      const timer = setTimeout(() => settle(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs).unref();
      try {
        this.exporter.export(spans, ({ code, error }: { code: number; error?: Error }) =>
          settle(code === SUCCESS ? undefined : (error ?? new Error('the collector refused them'))),
        );
      } catch (error) {
        settle(error as Error);
      }
    });
  }

  #failed(spans: number, error: Error): void {
    this.counts.exportFailed += spans;
    const now = performance.now();
    if (now - this.#warnedAt < WARN_MS) return;
    this.#warnedAt = now;
    this.options.logger.warn(
      { reason: error.message, dropped: this.#dropped },
      'spans could not be sent and are dropped; everything else goes on',
    );
  }

  get #dropped(): number {
    const { queueFull, exportFailed, shutdown } = this.counts;
    return queueFull + exportFailed + shutdown;
  }

  /** Sends what waits, as far as the collector answers. */
  async forceFlush(): Promise<void> {
    while (this.#exporting !== undefined || this.#waiting.length > 0) {
      this.#next();
      await this.#exporting;
    }
  }

  /** Sends what waits, for a second at most: a collector that hangs must not hold up the end of a role. */
  async shutdown(): Promise<void> {
    this.#closed = true;
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS);
    });
    await Promise.race([this.forceFlush(), enough]);
    clearTimeout(timer);
    this.#giveUpRest();
    // It waits for what is on its way, which may take its time-out.
    void this.exporter.shutdown().catch(() => undefined);
  }

  /** Whether the collector took what is on its way nobody will hear. */
  #giveUpRest(): void {
    const spans = this.#underWay + this.#waiting.length;
    this.#underWay = 0;
    this.#waiting = [];
    if (spans === 0) return;
    this.counts.shutdown += spans;
    this.options.logger.warn(
      { spans, waitedMs: CLOSE_MS, dropped: this.#dropped },
      'the last spans are dropped: the collector did not take them in time',
    );
  }
}

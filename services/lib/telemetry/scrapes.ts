import type { IncomingMessage, ServerResponse } from 'node:http';
import { type MetricProducer, MetricReader, type ResourceMetrics } from '@opentelemetry/sdk-metrics';
import { wait } from '../retry.js';
import { CONTENT_TYPE, exposition, type Format } from './exposition.js';

/** From one collection to the next: scrapes that come sooner wait for it, and share it. */
const INTERVAL_MS = 100;
/** Scrapes that are answered at once; one more is refused. */
const ANSWERS_MAX = 50;
/** How long a scraper may take to read its page. */
const ANSWER_MS = 10_000;

/** Collects when it is asked. */
class ScrapeReader extends MetricReader {
  protected onShutdown(): Promise<void> {
    return Promise.resolve();
  }

  protected onForceFlush(): Promise<void> {
    return Promise.resolve();
  }
}

/** One collection of all values, and the pages that are made of it. */
interface Collection {
  readonly metrics: Promise<ResourceMetrics>;
  readonly pages: Map<Format, Promise<Buffer>>;
}

/** Answers scrapes, however many come: with values of then or later, from at most ten collections a second. */
export class Scrapes {
  readonly reader: MetricReader;
  /** What scrapes that come now wait for. */
  #next: Collection | undefined;
  #collectedAt = -Infinity;
  #answering = 0;
  #collections = 0;

  constructor(producers: MetricProducer[]) {
    this.reader = new ScrapeReader({ metricProducers: producers });
  }

  /** How often values were collected. */
  get collections(): number {
    return this.#collections;
  }

  serve(request: IncomingMessage, response: ServerResponse): void {
    if (this.#answering >= ANSWERS_MAX) {
      response.writeHead(503, { 'retry-after': '1' });
      response.end('too many scrapes at once\n');
      return;
    }
    this.#answering += 1;
    response.once('close', () => (this.#answering -= 1));
    response.setTimeout(ANSWER_MS, () => response.destroy());
    const format = (request.headers.accept ?? '').includes('application/openmetrics-text') ? 'openmetrics' : 'text';
    this.#page(format).then(
      (page) => {
        response.writeHead(200, { 'content-type': CONTENT_TYPE[format], 'content-length': page.length });
        response.end(page);
      },
      (error: Error) => {
        response.writeHead(500);
        response.end(`the metrics could not be collected: ${error.message}\n`);
      },
    );
  }

  #page(format: Format): Promise<Buffer> {
    this.#next ??= { metrics: this.#collect(), pages: new Map() };
    const { metrics, pages } = this.#next;
    const page = pages.get(format) ?? metrics.then((values) => Buffer.from(exposition(values, format)));
    pages.set(format, page);
    return page;
  }

  async #collect(): Promise<ResourceMetrics> {
    await wait(Math.max(0, this.#collectedAt + INTERVAL_MS - performance.now()));
    this.#next = undefined;
    this.#collectedAt = performance.now();
    this.#collections += 1;
    return (await this.reader.collect()).resourceMetrics;
  }
}

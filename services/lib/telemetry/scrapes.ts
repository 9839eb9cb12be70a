import type { IncomingMessage, ServerResponse } from 'node:http';
import { MetricReader, type MetricProducer, type ResourceMetrics } from '@opentelemetry/sdk-metrics';
import { CONTENT_TYPE, exposition, type Format } from './exposition.js';

/** A scrape that comes so soon after a collection gets the same page: a storm costs ten collections a second. */
const FRESH_MS = 100;
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

/** Answers scrapes, however many come at once, from one collection. */
export class Scrapes {
  readonly reader: MetricReader;
  #collected: Promise<ResourceMetrics> | undefined;
  /** Pages of that collection. */
  readonly #pages = new Map<Format, Promise<Buffer>>();
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
    this.#collected ??= this.#collect();
    const collected = this.#collected;
    let page = this.#pages.get(format);
    if (page === undefined) {
      page = collected.then((metrics) => Buffer.from(exposition(metrics, format)));
      this.#pages.set(format, page);
    }
    return page;
  }

  async #collect(): Promise<ResourceMetrics> {
    this.#collections += 1;
    setTimeout(() => {
      this.#collected = undefined;
      this.#pages.clear();
    }, FRESH_MS).unref();
    return (await this.reader.collect()).resourceMetrics;
  }
}

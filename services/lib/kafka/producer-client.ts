import { RdKafka } from '@confluentinc/kafka-javascript';
import { holdThread } from '../lifecycle.js';
import type { Logger } from '../logging.js';
import { RepeatedRefusals } from '../repeated-refusals.js';
import { backoffMs, wait } from '../retry.js';
import { UnderWay } from '../under-way.js';
import { type Brokers, type KafkaConfig, producerSettings } from './client-config.js';
import { ConnectionFaults, KafkaRefusal } from './connection-faults.js';
import { hear } from './hear.js';
import type { Outcome } from './publish-batch.js';

const { ERR__FATAL: FATAL } = RdKafka.CODES.ERRORS;

/** How long connecting may take. */
const CONNECT_MS = 3000;
/** One that is replaced again within this time waits as long before. */
const REPLACED_AGAIN_MS = 5000;

export type NativeProducer = InstanceType<typeof RdKafka.Producer>;

export interface ProducerOptions {
  readonly clientId: string;
  /** How long connecting may take. */
  readonly timeoutMs?: number;
  /** Told why brokers do not let us in, every 5 s while it lasts. */
  readonly onRefusal?: ((refusal: KafkaRefusal) => void) | undefined;
}

/** What the present client tells; nobody listens to one that was replaced. */
export interface ProducerEvents {
  readonly onReport: (topic: string, error: Error | null | undefined) => void;
  readonly onStatistics: (json: string) => void;
  /** It goes on, or is replaced. */
  readonly onError: (error: Error) => void;
  /** It was given up, and nothing more is heard of what it was handed. */
  readonly onReplaced: (reason: Error) => void;
}

/**
 * The client of librdkafka through which a producer publishes at present: it is made, connected, asked, replaced by a
 * new one and closed here.
 */
export class ProducerClient {
  /** Undefined while a new client is made in place of one that broke for good. */
  #native: NativeProducer | undefined;
  /** Since when no broker has answered this client, by performance.now(); undefined: one has, or was not asked. */
  #unansweredSince: number | undefined;
  /** Why a client has no connection. */
  readonly #faults = new WeakMap<NativeProducer, ConnectionFaults>();
  readonly #refusals = new RepeatedRefusals();
  readonly #underWay = new UnderWay();
  #comparing = false;
  #replacedAt = -Infinity;
  #closed = false;

  constructor(
    private readonly brokers: Brokers,
    private readonly config: KafkaConfig,
    private readonly logger: Logger,
    private readonly options: ProducerOptions,
    private readonly events: ProducerEvents,
  ) {}

  /** @throws when no broker answers in time; nothing is left open then */
  async open(): Promise<void> {
    this.#native = await this.#connect();
  }

  get native(): NativeProducer | undefined {
    return this.#closed ? undefined : this.#native;
  }

  /** See #unansweredSince. */
  get unansweredSince(): number | undefined {
    return this.#unansweredSince;
  }

  /** A broker has answered. */
  noteAnswer(): void {
    this.#unansweredSince = undefined;
  }

  async #connect(): Promise<NativeProducer> {
    const settings = producerSettings(this.brokers, this.config, this.options.clientId, this.logger);
    const client = new RdKafka.Producer(settings);
    const faults = this.#watchConnection(client);
    let lastError: Error | undefined;
    client.on('event.error', (error) => {
      lastError = error as unknown as Error;
      this.events.onError(lastError);
      this.#noteFatal(client, lastError);
      this.logger.debug({ err: error }, 'the Kafka producer reports an error');
    });
    client.on('event.stats', (stats: { message: string }) =>
      hear(this.logger, 'statistics', () => {
        if (client === this.#native) this.events.onStatistics(stats.message);
      }),
    );
    client.on('delivery-report', (error, report) =>
      hear(this.logger, 'delivery report', () => {
        const failure = error as unknown as Error | null | undefined;
        // Those of a client that was replaced have been counted as failed.
        if (client === this.#native) this.events.onReport(report.topic, failure);
        this.#noteFatal(client, failure);
        (report.opaque as Outcome).settleOne(failure);
      }),
    );
    await new Promise<void>((resolve, reject) => {
      client.connect({ timeout: this.options.timeoutMs ?? CONNECT_MS }, (error) => {
        if (error === null || error === undefined) return resolve();
        // The client has closed itself by then; its disconnect() would throw.
        reject(faults.explain('no Kafka broker answered', lastError ?? error));
      });
    });
    client.setPollInBackground(true);
    return client;
  }

  #watchConnection(client: NativeProducer): ConnectionFaults {
    const faults = new ConnectionFaults(this.brokers.bootstrapServers, this.config, (refusal) => {
      this.options.onRefusal?.(refusal);
      if (client === this.#native) void this.#tryAnotherUnlessAnswered(client);
    });
    this.#faults.set(client, faults);
    client.on('event.log', faults.note);
    (client as NodeJS.EventEmitter).on('error', faults.noteToken);
    return faults;
  }

  /** Has the present client replaced, if that is what an error of it says. */
  noteFatal(error: unknown): void {
    if (this.#native !== undefined) this.#noteFatal(this.#native, error);
  }

  /** The event alone is not enough: after a broker answered "out of order sequence number" it never came. */
  #noteFatal(client: NativeProducer, error: unknown): void {
    if ((error as { code?: number } | null | undefined)?.code === FATAL) void this.#replace(client, error as Error);
  }

  /** Takes a new client; what is in flight fails, to be tried again. */
  async renew(reason: Error): Promise<void> {
    if (this.#native !== undefined) await this.#replace(this.#native, reason);
  }

  /**
   * A fatal error ends an idempotent producer for good: a cluster that was wiped no longer knows its sequence numbers.
   * A new client takes its place; what was in flight fails, and its publishers try again.
   * @param successor connected already; without it one is connected, however often it takes
   */
  async #replace(broken: NativeProducer, reason: Error, successor?: NativeProducer): Promise<void> {
    if (this.#native !== broken || this.#closed) {
      if (successor !== undefined) await this.#letGo(successor);
      return;
    }
    this.#native = undefined;
    this.#unansweredSince = undefined;
    this.logger.error({ err: reason }, 'the Kafka producer is replaced');
    void this.#letGo(broken);
    this.events.onReplaced(reason);
    this.#native = successor;
    const isAgain = performance.now() < this.#replacedAt + REPLACED_AGAIN_MS;
    this.#replacedAt = performance.now();
    if (isAgain && successor === undefined) await wait(REPLACED_AGAIN_MS);
    for (let attempt = 0; !this.#closed && this.#native === undefined; attempt += 1) {
      try {
        const client = await this.#underWay.track(this.#connect());
        if (this.#closed) return void this.#underWay.track(this.#letGo(client));
        this.#native = client;
        this.#refusals.end();
      } catch (error) {
        this.#sayNotReplaced(error as Error);
        await wait(200 + backoffMs(attempt, 200, 5000));
      }
    }
  }

  #sayNotReplaced(error: Error): void {
    if (error instanceof KafkaRefusal && !this.#refusals.note(error.message)) return;
    this.logger.warn({ err: error }, 'the Kafka producer could not be replaced yet');
  }

  /** Resolves when it is gone; it holds a thread of libuv's pool until then. */
  #letGo(client: NativeProducer): Promise<void> {
    const released = holdThread();
    return new Promise<void>((resolve) => {
      const isGone = () => {
        released();
        resolve();
      };
      try {
        client.disconnect(isGone);
      } catch {
        // It has closed itself.
        isGone();
      }
    });
  }

  /**
   * After all brokers had been away one client of ten never found them again, not even for metadata, while its
   * connections stood; one whose password was replaced never does. A new client tells that from an outage, and takes
   * its place.
   */
  async tryAnother(): Promise<void> {
    const client = this.#native;
    if (client === undefined || this.#comparing) return;
    this.#comparing = true;
    await this.#underWay.track(this.#compare(client)).finally(() => (this.#comparing = false));
  }

  /**
   * What it was made with may have been replaced: another one has what is there now. Where one broker refuses us and
   * others answer, the client stays.
   */
  async #tryAnotherUnlessAnswered(client: NativeProducer): Promise<void> {
    if (this.#unansweredSince === undefined) await this.probe().catch(() => undefined);
    if (this.#unansweredSince !== undefined && client === this.#native) await this.tryAnother();
  }

  async #compare(client: NativeProducer): Promise<void> {
    if (this.#closed) return;
    let another: NativeProducer;
    try {
      another = await this.#connect();
    } catch {
      return; // an outage: what is in flight is sent when it ends
    }
    // After an outage the old one may only have been slower to come back.
    await this.probe().catch(() => undefined);
    if (this.#unansweredSince === undefined) return this.#letGo(another);
    await this.#replace(client, new Error('no broker answers this client, but another'), another);
  }

  /** @throws if no broker answers in 3 s */
  async probe(): Promise<void> {
    const client = this.native;
    if (client === undefined) throw new Error('the Kafka producer is being replaced');
    await new Promise<void>((resolve, reject) => {
      client.getMetadata({ timeout: 3000, allTopics: false }, (error) => {
        const answered = error === null || error === undefined;
        if (client === this.#native)
          this.#unansweredSince = answered ? undefined : (this.#unansweredSince ?? performance.now());
        const faults = this.#faults.get(client)!;
        if (!answered) return reject(faults.explain('no Kafka broker answers', error));
        faults.clear();
        resolve();
      });
    });
  }

  /**
   * Disconnects, and waits for other clients that are under way: one that still connects, by TLS above all, would end
   * the process with SIGSEGV.
   */
  async close(timeoutMs: number): Promise<void> {
    const last = this.native;
    this.#closed = true;
    if (last !== undefined) void this.#underWay.track(this.#letGo(last));
    await this.#underWay.over(Math.max(timeoutMs, (this.options.timeoutMs ?? CONNECT_MS) + 500));
  }
}

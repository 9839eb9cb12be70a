import type { Logger } from '../logging.js';
import { RepeatedRefusals } from '../repeated-refusals.js';
import { backoffMs, wait, withTimeout } from '../retry.js';
import { type Brokers, consumerSettings, type KafkaConfig } from './client-config.js';
import { ConnectionFaults, KafkaRefusal } from './connection-faults.js';
import type { PartitionOffset } from './incoming-record.js';
import { NativeConsumer, type NativeListeners } from './native-consumer.js';

export interface ClientOptions {
  readonly clientId: string;
  readonly groupId: string;
  /** How long connecting may take. */
  readonly timeoutMs?: number;
  /** Bytes for which a broker waits (up to 500 ms) before it answers a fetch; absent: as configured. */
  readonly fetchMinBytes?: number;
  /** Told why brokers do not let us in, every 5 s while it lasts. */
  readonly onRefusal?: ((refusal: KafkaRefusal) => void) | undefined;
}

/** What the present client tells; nobody listens to one that was replaced. */
export interface ClientEvents extends Omit<NativeListeners, 'onRebalance'> {
  readonly onRebalance: (native: NativeConsumer, assigned: boolean, partitions: PartitionOffset[]) => void;
  /** Brokers do not let it in any more. */
  readonly onRefusal: (refusal: KafkaRefusal) => void;
}

/**
 * The client of librdkafka through which a consumer reads at present: it is made, connected, replaced by a new one and
 * closed here. What belongs to the assignment that it has, and must not outlive it, is told by the generation.
 */
export class ConsumerClient {
  #native: NativeConsumer;
  #generation = 0;
  #replaced = 0;
  #isReplacing = false;
  #isClosed = false;

  constructor(
    private readonly brokers: Brokers,
    private readonly config: KafkaConfig,
    private readonly logger: Logger,
    private readonly options: ClientOptions,
    private readonly events: ClientEvents,
  ) {
    this.#native = this.#create();
  }

  #create(): NativeConsumer {
    const { brokers, config, logger, options, events } = this;
    // One that was replaced may still call back.
    const isCurrent = () => this.isCurrent(native);
    const settings = {
      ...consumerSettings(brokers, config, options.clientId, options.groupId, logger),
      ...(options.fetchMinBytes === undefined ? {} : { 'fetch.min.bytes': options.fetchMinBytes }),
    };
    const listeners: NativeListeners = {
      onArrival: () => {
        if (isCurrent()) events.onArrival();
      },
      onRebalance: (assigned, partitions) => {
        if (isCurrent()) events.onRebalance(native, assigned, partitions);
        // One that was replaced takes nothing more, and gives up what it has: it cannot leave its group otherwise.
        else native.unassign();
      },
      onStatistics: (statistics) => {
        if (isCurrent()) events.onStatistics(statistics);
      },
      onFatal: (error) => {
        if (isCurrent()) events.onFatal(error);
      },
      onError: (error) => {
        if (isCurrent()) events.onError?.(error);
      },
    };
    const faults = new ConnectionFaults(brokers.bootstrapServers, config, (refusal) => {
      options.onRefusal?.(refusal);
      if (isCurrent() && native.isOpen) events.onRefusal(refusal);
    });
    const native = new NativeConsumer(settings, listeners, faults, logger);
    return native;
  }

  /** For what is asked of librdkafka itself. */
  get native(): NativeConsumer {
    return this.#native;
  }

  isCurrent(native: NativeConsumer): boolean {
    return native === this.#native;
  }

  get bootstrapServers(): string {
    return this.brokers.bootstrapServers;
  }

  /** Grows with every assignment, revocation and replacement. */
  get generation(): number {
    return this.#generation;
  }

  startGeneration(): void {
    this.#generation += 1;
  }

  /** How often it was replaced. */
  get replaced(): number {
    return this.#replaced;
  }

  get isReplacing(): boolean {
    return this.#isReplacing;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Neither closed nor not connected yet. */
  get isUsable(): boolean {
    return !this.#isClosed && !this.#isReplacing && this.#native.isOpen;
  }

  /** None while it is not usable. */
  get assignment(): readonly PartitionOffset[] {
    return this.isUsable ? this.#native.assignment : [];
  }

  /** @throws when no broker answers; nothing is left open then */
  async open(): Promise<void> {
    await this.#native.open(this.options.timeoutMs ?? 3000);
  }

  /** Puts a new client in the place of this one; tries until it is connected and has begun, or everything is closed. */
  async replace(begin: () => Promise<void> | void): Promise<void> {
    this.#isReplacing = true;
    await this.#putAnother(begin).finally(() => (this.#isReplacing = false));
  }

  async #putAnother(begin: () => Promise<void> | void): Promise<void> {
    const stalled = this.#native;
    const refusals = new RepeatedRefusals();
    this.#replaced += 1;
    this.#native = this.#create();
    // It may never answer. Its group membership ends with its session.
    void stalled.close();
    for (let attempt = 0; !this.#isClosed; attempt += 1) {
      try {
        await this.open();
        await begin();
        break;
      } catch (error) {
        if (!(error instanceof KafkaRefusal) || refusals.note(error.message))
          this.logger.warn({ err: error }, 'the Kafka consumer could not be replaced yet');
        void this.#native.close();
        await wait(200 + backoffMs(attempt, 200, 5000));
        if (!this.#isClosed) this.#native = this.#create();
      }
    }
  }

  async close(timeoutMs: number): Promise<void> {
    this.#isClosed = true;
    await withTimeout(this.#native.close(), timeoutMs, 'closing the Kafka consumer').catch((error: Error) =>
      this.logger.warn({ err: error }, 'the Kafka consumer did not close in time'),
    );
  }
}

import { LRUCache } from 'lru-cache';
import type { StoredAlert } from '../domain/alert.js';
import type { AlertCreatedEvent } from '../events/event-types.js';
import type { AvroCodec } from '../lib/avro.js';
import type { IncomingRecord } from '../lib/kafka/consumer.js';

/** Bytes of events that wait for somebody to want them; about 10,000 alerts. */
const BYTES_MAX = 8 * 1024 * 1024;
/** What an entry takes besides its bytes: a buffer of 250 takes 900. Without it small events take gigabytes. */
const ENTRY_BYTES = 650;

/**
 * Alerts as their events in Kafka tell them, a few milliseconds before the first inbox has them. They stay undecoded,
 * as most are for users of other gateways; what falls out at the bound is read from PostgreSQL.
 */
export class AnnouncedAlerts {
  readonly #values = new LRUCache<string, Buffer>({
    maxSize: BYTES_MAX,
    sizeCalculation: (value, key) => value.length + key.length + ENTRY_BYTES,
  });

  /** @param epoch the database's, 0 if it is not known: alerts of another one are not handed out */
  constructor(
    private readonly codec: AvroCodec<AlertCreatedEvent>,
    private readonly epoch: () => number = () => 0,
  ) {}

  get bytes(): number {
    return this.#values.calculatedSize;
  }

  add({ key, value }: IncomingRecord): void {
    if (key !== null && value !== null) this.#values.set(key, value);
  }

  /** Hands out an alert once; undefined if it is not here, or written by a version that did not have all of it. */
  take(alertId: number): StoredAlert | undefined {
    const key = String(alertId);
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    this.#values.delete(key);
    try {
      const event = this.codec.decodeKnown(value);
      if (this.#isOther(event?.epoch ?? 0)) return undefined;
      // The first version of the event has no contents, and with them no time.
      if (event === undefined || event.alertId !== alertId || event.createdAt === 0) return undefined;
      return {
        alertId,
        kind: event.alertKind,
        appName: event.appName,
        level: event.level,
        title: event.title,
        message: event.message,
        labels: event.labels,
        sourceId: event.sourceId,
        occurredAt: event.occurredAt,
        createdAt: event.createdAt,
      };
    } catch {
      return undefined; // fan-out reports what cannot be decoded
    }
  }

  #isOther(epoch: number): boolean {
    const present = this.epoch();
    return epoch !== 0 && present !== 0 && epoch !== present;
  }

  clear(): void {
    this.#values.clear();
  }
}

import { LRUCache } from 'lru-cache';
import { toAlertMessage } from '../api/messages.js';
import { messageType } from '../api/protos.js';
import { type AlertKind, levelRank, type StoredAlert } from '../domain/alert.js';
import type { Database, StatementObserver } from '../lib/postgres.js';
import { findAlerts } from '../store/alerts.js';
import type { AnnouncedAlerts } from './announced-alerts.js';

/** An alert as streams need it: serialised once, with what filters look at. */
export interface EncodedAlert {
  readonly bytes: Buffer;
  readonly kind: AlertKind;
  readonly rank: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

/** Alerts of one query. */
const LOAD_MAX = 500;
/** Of contents in the cache: the largest alerts have 16,384 characters and more, and 10,000 of them would be 160 MB. */
const BYTES_MAX = 64 * 1024 * 1024;

/** The contents of alerts, loaded in batches and kept within a bound. Alerts never change, so nothing is ever stale. */
export class AlertContents {
  readonly #cache: LRUCache<number, EncodedAlert>;
  readonly #alertType = messageType('ssom.alert.v1.Alert');
  readonly #kinds = this.#alertType.root.lookupEnum('ssom.alert.v1.AlertKind').values;
  readonly #levels = this.#alertType.root.lookupEnum('ssom.alert.v1.AlertLevel').values;

  /** What was asked for last, and was there. */
  #last: { readonly alertId: number; readonly content: EncodedAlert } | undefined;

  #hits = 0;
  #misses = 0;

  /** What Kafka told of alerts already; without it all are read from PostgreSQL. */
  announced: AnnouncedAlerts | undefined;

  constructor(
    private readonly database: Database,
    max: number,
  ) {
    this.#cache = new LRUCache({ max, maxSize: BYTES_MAX, sizeCalculation: ({ bytes }) => bytes.length || 1 });
  }

  /** How often an alert was to be loaded, and was in memory or not; those that Kafka told of count as there. */
  get lookups(): { hits: number; misses: number } {
    return { hits: this.#hits, misses: this.#misses };
  }

  /** Forgets all: the database is another one now. */
  clear(): void {
    this.#cache.clear();
    this.#last = undefined;
    this.announced?.clear();
  }

  get bytes(): number {
    return this.#cache.calculatedSize;
  }

  get size(): number {
    return this.#cache.size;
  }

  get(alertId: number): EncodedAlert | undefined {
    // A broadcast asks for the same one as many times as there are streams.
    if (alertId === this.#last?.alertId) return this.#last.content;
    const content = this.#cache.get(alertId);
    if (content !== undefined) this.#last = { alertId, content };
    return content;
  }

  /**
   * The contents of these alerts, loaded if they are not there yet, and all of them even if the cache has no room for
   * all. Ids of alerts that do not exist are left out.
   * @param observer told of the statements
   */
  async load(alertIds: Iterable<number>, observer?: StatementObserver): Promise<ReadonlyMap<number, EncodedAlert>> {
    const contents = new Map<number, EncodedAlert>();
    const missing: number[] = [];
    for (const alertId of new Set(alertIds)) {
      const content = this.#cache.get(alertId);
      if (content !== undefined) {
        contents.set(alertId, content);
        continue;
      }
      const alert = this.announced?.take(alertId);
      if (alert === undefined) missing.push(alertId);
      else this.#keep(alert, contents);
    }
    const database = observer === undefined ? this.database : this.database.observedBy(observer);
    this.#hits += contents.size;
    this.#misses += missing.length;
    for (let from = 0; from < missing.length; from += LOAD_MAX) {
      for (const alert of await findAlerts(database, missing.slice(from, from + LOAD_MAX))) {
        this.#keep(alert, contents);
      }
    }
    return contents;
  }

  #keep(alert: StoredAlert, contents: Map<number, EncodedAlert>): void {
    const content = this.#encode(alert);
    this.#cache.set(alert.alertId, content);
    contents.set(alert.alertId, content);
  }

  #encode(alert: StoredAlert): EncodedAlert {
    const message = toAlertMessage(alert);
    const bytes = this.#alertType
      .encode({ ...message, kind: this.#kinds[message.kind!], level: this.#levels[message.level!] })
      .finish();
    return { bytes: Buffer.from(bytes), kind: alert.kind, rank: levelRank(alert.level), createdAt: alert.createdAt };
  }
}

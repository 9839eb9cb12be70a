import { LRUCache } from 'lru-cache';
import { levelRank, type AlertKind } from '../domain/alert.js';
import { messageType } from '../lib/grpc/protos.js';
import { toAlertMessage } from '../lib/grpc/messages.js';
import type { Database } from '../lib/postgres.js';
import { findAlerts } from '../store/alerts.js';

/** An alert as streams need it: serialised once, with what filters look at. */
export interface AlertContent {
  readonly bytes: Buffer;
  readonly kind: AlertKind;
  readonly rank: number;
}

/** Alerts of one query. */
const LOAD_MAX = 500;

/** The contents of alerts, loaded in batches and kept within a bound. Alerts never change, so nothing is ever stale. */
export class AlertContents {
  readonly #cache: LRUCache<number, AlertContent>;
  readonly #alertType = messageType('ssom.alert.v1.Alert');
  readonly #kinds = this.#alertType.root.lookupEnum('ssom.alert.v1.AlertKind').values;
  readonly #levels = this.#alertType.root.lookupEnum('ssom.alert.v1.AlertLevel').values;

  constructor(
    private readonly database: Database,
    max: number,
  ) {
    this.#cache = new LRUCache({ max });
  }

  get size(): number {
    return this.#cache.size;
  }

  get(alertId: number): AlertContent | undefined {
    return this.#cache.get(alertId);
  }

  /** Loads what is not there yet. Ids of alerts that do not exist are ignored. */
  async load(alertIds: Iterable<number>): Promise<void> {
    const missing = [...new Set(alertIds)].filter((alertId) => !this.#cache.has(alertId));
    for (let from = 0; from < missing.length; from += LOAD_MAX) {
      for (const alert of await findAlerts(this.database, missing.slice(from, from + LOAD_MAX))) {
        const message = toAlertMessage(alert);
        const bytes = this.#alertType
          .encode({ ...message, kind: this.#kinds[message.kind!], level: this.#levels[message.level!] })
          .finish();
        this.#cache.set(alert.alertId, { bytes: Buffer.from(bytes), kind: alert.kind, rank: levelRank(alert.level) });
      }
    }
  }
}

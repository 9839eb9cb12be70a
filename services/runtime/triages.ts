import { UnusableSchema } from '../lib/avro.js';
import type { Config } from '../lib/config/load.js';
import type { IncomingRecord } from '../lib/kafka/consumer.js';
import { DeadLetters } from '../lib/kafka/dead-letters.js';
import type { Producer } from '../lib/kafka/producer.js';
import { RETRY_REASONS, Triage } from '../lib/kafka/triage.js';
import type { Logger } from '../lib/logging.js';
import type { Database } from '../lib/postgres.js';
import type { Metrics } from '../lib/telemetry/metrics.js';
import type { Tracing } from '../lib/telemetry/tracing.js';
import { rememberDeadLetter } from '../store/dead-letters.js';
import { keepDeadLetter } from '../store/kept-dead-letters.js';
import { aboutAlert } from './describe-records.js';
import { countRetries } from './observe.js';

export type Identify = (record: IncomingRecord) => { alertId?: number; userId?: string };

/** What is needed to give records up: they go to Kafka, and PostgreSQL remembers them. */
interface TriagesDeps {
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly database: Database;
}

/** What the consumers of a process do with records that fail: each has its own triage, and they show together. */
export class Triages {
  readonly #triages: { readonly triage: Triage; readonly group: string }[] = [];

  constructor(private readonly deps: TriagesDeps) {}

  /** @param identify whose alert a record is about, as far as it can be read */
  create(producer: Producer, group: string, identify: Identify): Triage {
    const { config, logger, metrics } = this.deps;
    const triage = new Triage({
      deadLetters: this.#deadLetters(producer, group, identify),
      attempts: config.processingAttempts,
      backoffBaseMs: 100,
      backoffCapMs: 5000,
      logger,
      onRetry: countRetries(metrics, group, RETRY_REASONS),
    });
    this.#triages.push({ triage, group });
    if (this.#triages.length === 1) this.#observe();
    return triage;
  }

  #deadLetters(producer: Producer, group: string, identify: Identify): DeadLetters {
    const { logger, metrics, tracing, database } = this.deps;
    return new DeadLetters({
      producer,
      group,
      logger,
      metrics,
      tracing,
      identify: (record) => aboutAlert(identify(record).alertId),
      remember: async (record, { error }) => {
        const { topic, partition, offset } = record;
        // That its writer has a wrong schema id holds up no alert: reconcile sends what is missing.
        const { alertId, userId } = error.cause instanceof UnusableSchema ? {} : identify(record);
        const letter = { topic, partition, offset, alertId, userId, reason: error.message };
        await rememberDeadLetter(database, letter, { key: record.rawKey, value: record.value });
      },
      keep: (record, letter, waitsFor) => keepDeadLetter(database, record, letter, waitsFor),
    });
  }

  #observe(): void {
    const { metrics } = this.deps;
    metrics.gauge('ssom.triage.suspects', 'Records that have failed alone and may be given up, by group.', () =>
      this.#ofEach((triage) => triage.suspects),
    );
    metrics.gauge(
      'ssom.triage.waiting',
      'Records that were set aside, with what follows of their keys, while others go on; by group.',
      () => this.#ofEach(({ setAside }) => setAside.size),
    );
    metrics.gauge(
      'ssom.triage.age',
      'Seconds for which the oldest record that was set aside has waited; by group.',
      () => this.#ofEach(({ setAside }) => setAside.oldestMs / 1000),
    );
  }

  #ofEach(value: (triage: Triage) => number) {
    return this.#triages.map(({ triage, group }) => ({ value: value(triage), attributes: { group } }));
  }
}

import { traceHeaders, userAlertRecord } from '../events/records.js';
import type { Events } from '../events/events.js';
import { Consumer } from '../lib/kafka/consumer.js';
import type { Producer } from '../lib/kafka/producer.js';
import { every } from '../lib/lifecycle.js';
import { wait } from '../lib/retry.js';
import { ATTR, KAFKA, SPAN } from '../lib/telemetry/names.js';
import { failSpan, isSampled, SpanKind, traceparentOf, type Span } from '../lib/telemetry/tracing.js';
import type { Runtime } from '../runtime.js';
import { alertTraceparents } from '../store/alerts.js';
import type { DirectoryCache } from '../store/directory-cache.js';
import { forgetAllDeadLetters } from '../store/dead-letters.js';
import { missingDeliveries, type Delivery } from '../store/inbox-delivery.js';
import { deferReconcile, incompleteAlerts, markComplete } from '../store/progress.js';

/** One reconciler among all instances: the holder of this advisory lock. */
const LOCK = 7_200_003;
/** Alerts of one turn, and recipients of one query. */
const ALERTS = 500;
const PAIRS = 20_000;
/** Republished at most in one run; the rest has its turn in the next one. */
const REPUBLISH_MAX = 100_000;
/** How long a run waits for the consumer groups to pass what was in Kafka when it began. */
const CATCH_UP_MS = 20_000;

/**
 * Finds alerts that are not in every recipient's inbox although nothing of them is on its way any more, and publishes the
 * missing recipients' events again. It is what makes "acknowledged means kept" survive the loss of Kafka itself.
 */
export class Reconciler {
  readonly #republished;
  readonly #completed;

  constructor(
    private readonly runtime: Runtime,
    private readonly directories: DirectoryCache,
  ) {
    this.#republished = runtime.metrics.counter(
      'ssom.reconcile.republished',
      'User-alert events that were published again.',
    );
    this.#completed = runtime.metrics.counter('ssom.reconcile.completed', 'Alerts that were found in every inbox.');
  }

  /** Runs at the configured interval until the signal aborts; at once, without grace, if `atStart`. */
  async run(producer: Producer, events: Events, signal: AbortSignal, atStart: boolean): Promise<void> {
    const { config, logger, database, backends } = this.runtime;
    let stale = backends.brokers.inProcess;
    let graceMs = atStart ? 0 : config.reconcileGraceMs;
    if (!atStart) await wait(config.reconcileIntervalMs * Math.random(), signal);
    await every(
      config.reconcileIntervalMs,
      signal,
      async () => {
        // The dead letters of the in-process broker ended with it; what they held up may be tried again.
        if (stale) await forgetAllDeadLetters(database);
        stale = false;
        await this.reconcile(producer, events, graceMs, signal);
        graceMs = config.reconcileGraceMs;
      },
      (error) => logger.warn({ err: error }, 'alerts could not be reconciled; trying again'),
    );
  }

  /** One run, if no other instance is at it. */
  async reconcile(producer: Producer, events: Events, graceMs: number, signal: AbortSignal): Promise<void> {
    const { database } = this.runtime;
    await database.withAdvisoryLock(LOCK, async () => {
      const suspects: number[] = [];
      // What is found beyond what one run can publish stays due.
      for (let lacking = 0; lacking < REPUBLISH_MAX;) {
        const alertIds = await incompleteAlerts(database, graceMs, ALERTS);
        if (alertIds.length === 0 || signal.aborted) break;
        const { complete, incomplete, missing } = await this.#check(alertIds);
        lacking += missing.length;
        if (complete.length > 0) await markComplete(database, complete);
        this.#completed.add(complete.length);
        // Deferred at once, so that the next turn of this loop does not find them again.
        if (incomplete.length > 0) await deferReconcile(database, incomplete);
        suspects.push(...incomplete);
      }
      if (suspects.length > 0) await this.#repair(suspects, producer, events, signal);
    });
  }

  /** Publishes for the suspects whatever is still missing once nothing of theirs can be on its way any more. */
  async #repair(suspects: readonly number[], producer: Producer, events: Events, signal: AbortSignal): Promise<void> {
    const { config, logger, database } = this.runtime;
    const { topics } = events;
    const passed =
      (await this.#groupPassed(topics.alertCreated, `${config.consumerGroup}-fanout`, signal)) &&
      (await this.#groupPassed(topics.userAlert, config.consumerGroup, signal));
    if (!passed) {
      logger.info(
        { alerts: suspects.length },
        'incomplete alerts are still on their way; they are looked at again later',
      );
      return;
    }
    let republished = 0;
    for (let from = 0; from < suspects.length && republished < REPUBLISH_MAX && !signal.aborted; from += ALERTS) {
      const { missing, complete } = await this.#check(suspects.slice(from, from + ALERTS));
      if (complete.length > 0) await markComplete(database, complete);
      for (let at = 0; at < missing.length && republished < REPUBLISH_MAX; at += PAIRS) {
        const slice = missing.slice(at, Math.min(at + PAIRS, at + REPUBLISH_MAX - republished));
        const spans = await this.#startSpans(slice, topics.userAlert);
        const records = slice.map((delivery) =>
          userAlertRecord(events, delivery, traceHeaders(traceparentOf(spans.get(delivery.alertId)))),
        );
        try {
          await producer.publish(records);
          for (const span of spans.values()) span.end();
        } catch (error) {
          for (const span of spans.values()) failSpan(span, error as Error);
          throw error;
        }
        republished += slice.length;
      }
    }
    this.#republished.add(republished);
    if (republished > 0)
      logger.warn({ records: republished, alerts: suspects.length }, 'lost user-alert events were published again');
  }

  /** In each alert's own trace, by alert id: that its events were lost and sent again is why it is late. */
  async #startSpans(missing: readonly Delivery[], topic: string): Promise<Map<number, Span>> {
    const { tracing, database } = this.runtime;
    const spans = new Map<number, Span>();
    if (!tracing.enabled) return spans;
    const lost = new Map<number, number>();
    for (const { alertId } of missing) lost.set(alertId, (lost.get(alertId) ?? 0) + 1);
    for (const [alertId, parent] of await alertTraceparents(database, [...lost.keys()])) {
      if (!isSampled(parent)) continue;
      const span = tracing.start(SPAN.send(topic), {
        kind: SpanKind.PRODUCER,
        parent,
        attributes: {
          [ATTR.messagingSystem]: KAFKA,
          [ATTR.messagingDestination]: topic,
          [ATTR.messagingOperation]: 'send',
          [ATTR.messagingOperationType]: 'send',
          [ATTR.messagingBatchCount]: lost.get(alertId)!,
          [ATTR.alertId]: alertId,
          [ATTR.reconciled]: true,
        },
      });
      spans.set(alertId, span);
    }
    return spans;
  }

  async #check(alertIds: readonly number[]) {
    const recipients = await this.directories.recipientsOf(alertIds);
    const missing: Delivery[] = [];
    let pairs: Delivery[] = [];
    const flush = async () => {
      if (pairs.length > 0) missing.push(...(await missingDeliveries(this.runtime.database, pairs)));
      pairs = [];
    };
    const checked: { alertId: number; recipients: number }[] = [];
    for (const [alertId, userIds] of recipients) {
      // More than one run publishes is not gathered: 500 broadcasts to 100,000 users would be gigabytes.
      if (missing.length >= REPUBLISH_MAX) break;
      checked.push({ alertId, recipients: userIds.length });
      for (const userId of userIds) {
        pairs.push({ alertId, userId });
        if (pairs.length === PAIRS) await flush();
      }
    }
    await flush();
    const lacking = new Set(missing.map(({ alertId }) => alertId));
    const complete = checked.filter(({ alertId }) => !lacking.has(alertId));
    const looked = new Set(checked.map(({ alertId }) => alertId));
    const settled = new Set(complete.map(({ alertId }) => alertId));
    // An alert that is not there (any more) is put off like one that lacks recipients, so that no run finds it twice.
    const incomplete = alertIds.filter((alertId) =>
      recipients.has(alertId) ? looked.has(alertId) && !settled.has(alertId) : true,
    );
    return { missing, complete, incomplete };
  }

  /** Whether a group has committed past the ends that a topic has now; a new topic has nothing to be passed. */
  async #groupPassed(topic: string, groupId: string, signal: AbortSignal): Promise<boolean> {
    const { backends, config, logger, role } = this.runtime;
    const observer = await Consumer.observe(backends.brokers, config, logger, {
      clientId: `ssom-${role}-reconcile`,
      groupId,
    });
    try {
      const ends = await Promise.all(
        (await observer.partitionsOf(topic)).map(async (partition) => ({
          topic,
          partition,
          ...(await observer.watermarks(topic, partition)),
        })),
      );
      const occupied = ends.filter(({ low, high }) => high > low);
      if (occupied.length === 0) return true;
      const until = performance.now() + CATCH_UP_MS;
      while (!signal.aborted) {
        const committed = await observer.committed(occupied);
        // A position beyond the end is one of a topic that was made anew.
        if (committed.every(({ offset }, index) => offset >= occupied[index]!.high)) return true;
        if (performance.now() > until) return false;
        await wait(200, signal);
      }
      return false;
    } finally {
      await observer.close();
    }
  }
}

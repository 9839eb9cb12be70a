import { ALERT_ATTR } from '../domain/alert-attributes.js';
import type { Events } from '../events/events.js';
import { groupOf, type GroupRole } from '../events/groups.js';
import { traceHeaders, userAlertRecord } from '../events/records.js';
import { PassedPartitions } from '../lib/kafka/passed-partitions.js';
import { wait } from '../lib/retry.js';
import { startSend } from '../lib/telemetry/kafka-spans.js';
import { ATTR } from '../lib/telemetry/names.js';
import { failSpan, isSampled, type Span, traceparentOf } from '../lib/telemetry/tracing.js';
import type { Publish, RuntimeParts } from '../runtime/runtime.js';
import { alertTraceparents } from '../store/alerts.js';
import { loseAllDeadLetters } from '../store/dead-letters.js';
import { type Delivery, missingDeliveries } from '../store/inbox-delivery.js';
import type { KnownEpoch } from '../store/known-epoch.js';
import { LOCKS } from '../store/locks.js';
import { deferReconcile, incompleteAlerts, markComplete } from '../store/progress.js';
import type { RecipientResolver } from '../store/recipient-resolver.js';

/** Alerts of one turn, and recipients of one query. */
const ALERTS = 500;
const PAIRS = 20_000;
/**
 * Republished at most in one round. The next one waits until delivery has passed them, so that as many are on their way
 * at most, and they come as fast as delivery takes them.
 */
const REPUBLISH_MAX = 100_000;
/** How long a round waits for the consumer groups to pass what was in Kafka when it began. */
const CATCH_UP_MS = 20_000;

/** Alerts that lack recipients, and whom. */
interface Suspects {
  readonly alertIds: number[];
  readonly userIds: Set<string>;
}

/**
 * Finds alerts that are not in every recipient's inbox although nothing of them is on its way any more, and publishes
 * the missing recipients' events again. It is what makes "acknowledged means kept" survive the loss of Kafka itself.
 */
export class Reconciler {
  readonly #republished;
  readonly #completed;

  constructor(
    private readonly deps: RuntimeParts<
      'backends' | 'bulkDatabase' | 'config' | 'jobs' | 'logger' | 'metrics' | 'role' | 'tracing'
    >,
    private readonly resolver: RecipientResolver,
    private readonly epoch: KnownEpoch,
  ) {
    this.#republished = deps.metrics.counter(
      'ssom.reconcile.republished',
      'User-alert events that were published again.',
    );
    this.#completed = deps.metrics.counter('ssom.reconcile.completed', 'Alerts that were found in every inbox.');
  }

  /** Runs at the configured interval until the signal aborts; at once, without grace, if `atStart`. */
  async run(publish: Publish, events: Events, signal: AbortSignal, atStart: boolean): Promise<void> {
    const { config, jobs, bulkDatabase: database, backends } = this.deps;
    let stale = backends.brokers.inProcess;
    let graceMs = atStart ? 0 : config.reconcileGraceMs;
    if (!atStart) await wait(config.reconcileIntervalMs * Math.random(), signal);
    await jobs.every('reconcile', config.reconcileIntervalMs, signal, async () => {
      // The dead letters of the in-process broker ended with it; what they held up may be tried again.
      if (stale) await loseAllDeadLetters(database);
      stale = false;
      await this.reconcile(publish, events, graceMs, signal);
      graceMs = config.reconcileGraceMs;
    });
  }

  /** One run, if no other instance is at it: rounds, until none is due or none of those that are can be repaired. */
  async reconcile(publish: Publish, events: Events, graceMs: number, until: AbortSignal): Promise<void> {
    const { backends, config, logger, role, bulkDatabase: database } = this.deps;
    const passedBy = (by: GroupRole) => {
      const { group: groupId, topic } = groupOf(by, config);
      return new PassedPartitions(backends.brokers, config, logger, {
        topic,
        groupId,
        clientId: `ssom-${role}-reconcile`,
      });
    };
    const [fannedOut, delivered] = [passedBy('fanout'), passedBy('delivery')];
    await database.withAdvisoryLock(
      LOCKS.reconcile,
      async (signal) => {
        try {
          for (let republished = 1; republished > 0 && !signal.aborted;) {
            // Before what is looked up: if it is renewed meanwhile, what is published here is set aside, and found
            // again.
            await this.epoch.refresh();
            const suspects = await this.#findSuspects(graceMs, signal);
            if (suspects.alertIds.length === 0) break;
            const keys = suspects.alertIds.map(String);
            const isFannedOut = await fannedOut.passed(keys, CATCH_UP_MS, signal);
            // Its ends count from here on: what fan-out has passed is in this topic.
            const isDelivered = await delivered.passed(suspects.userIds, CATCH_UP_MS, signal);
            const ready = suspects.alertIds.filter((alertId) => isFannedOut(String(alertId)));
            republished = await this.#repair(ready, isDelivered, publish, events, signal);
            this.#republished.add(republished);
            const counts = { records: republished, alerts: ready.length, onTheirWay: keys.length - ready.length };
            if (republished > 0) logger.warn(counts, 'lost user-alert events were published again');
            else logger.info(counts, 'incomplete alerts are still on their way; they are looked at again later');
          }
        } finally {
          await Promise.all([fannedOut.close(), delivered.close()]);
        }
      },
      until,
    );
  }

  /** Looks at what is due, until more is missing than one round can publish; the rest stays due. */
  async #findSuspects(graceMs: number, signal: AbortSignal): Promise<Suspects> {
    const { bulkDatabase: database } = this.deps;
    const suspects: Suspects = { alertIds: [], userIds: new Set() };
    for (let lacking = 0; lacking < REPUBLISH_MAX;) {
      const alertIds = await incompleteAlerts(database, graceMs, ALERTS);
      if (alertIds.length === 0 || signal.aborted) break;
      const { complete, incomplete, missing } = await this.#check(alertIds);
      lacking += missing.length;
      await this.#markComplete(complete);
      // Deferred at once, so that the next turn of this loop does not find them again.
      if (incomplete.length > 0) await deferReconcile(database, incomplete);
      suspects.alertIds.push(...new Set(missing.map(({ alertId }) => alertId)));
      for (const { userId } of missing) suspects.userIds.add(userId);
    }
    return suspects;
  }

  async #markComplete(complete: readonly { alertId: number; recipients: number }[]): Promise<void> {
    if (complete.length > 0) await markComplete(this.deps.bulkDatabase, complete);
    this.#completed.add(complete.length);
  }

  /**
   * Publishes for these alerts whatever is still missing of those users of whom nothing is on its way any more.
   * @returns how many records
   */
  async #repair(
    alertIds: readonly number[],
    isDelivered: (userId: string) => boolean,
    publish: Publish,
    events: Events,
    signal: AbortSignal,
  ): Promise<number> {
    let republished = 0;
    for (let from = 0; from < alertIds.length && republished < REPUBLISH_MAX && !signal.aborted; from += ALERTS) {
      const { missing, complete } = await this.#check(alertIds.slice(from, from + ALERTS));
      await this.#markComplete(complete);
      const lost = missing.filter(({ userId }) => isDelivered(userId));
      for (let at = 0; at < lost.length && republished < REPUBLISH_MAX; at += PAIRS) {
        const slice = lost.slice(at, Math.min(at + PAIRS, at + REPUBLISH_MAX - republished));
        await this.#publish(slice, publish, events);
        republished += slice.length;
      }
    }
    return republished;
  }

  async #publish(lost: readonly Delivery[], publish: Publish, events: Events): Promise<void> {
    const spans = await this.#startSpans(lost, events.topics.userAlert);
    const epoch = this.epoch.current;
    const records = lost.map((delivery) =>
      userAlertRecord(events, { ...delivery, epoch }, traceHeaders(traceparentOf(spans.get(delivery.alertId)))),
    );
    try {
      await publish(records);
      for (const span of spans.values()) span.end();
    } catch (error) {
      for (const span of spans.values()) failSpan(span, error as Error);
      throw error;
    }
  }

  /** In each alert's own trace, by alert id: that its events were lost and sent again is why it is late. */
  async #startSpans(missing: readonly Delivery[], topic: string): Promise<Map<number, Span>> {
    const { tracing, bulkDatabase: database } = this.deps;
    const spans = new Map<number, Span>();
    if (!tracing.enabled) return spans;
    const lost = new Map<number, number>();
    for (const { alertId } of missing) lost.set(alertId, (lost.get(alertId) ?? 0) + 1);
    for (const [alertId, parent] of await alertTraceparents(database, [...lost.keys()])) {
      if (!isSampled(parent)) continue;
      const span = startSend(tracing, topic, {
        parent,
        attributes: {
          [ATTR.messagingBatchCount]: lost.get(alertId)!,
          [ALERT_ATTR.id]: alertId,
          [ATTR.reconciled]: true,
        },
      });
      spans.set(alertId, span);
    }
    return spans;
  }

  /**
   * @returns who lacks which alert, the alerts that nobody lacks, and those that somebody lacks or waits for in the
   * dead letters
   */
  async #check(alertIds: readonly number[]) {
    const recipients = await this.resolver.recipientsOf(alertIds);
    const missing: Delivery[] = [];
    const lacking = new Set<number>();
    let pairs: Delivery[] = [];
    const flush = async () => {
      if (pairs.length > 0) {
        const found = await missingDeliveries(this.deps.bulkDatabase, pairs);
        missing.push(...found.missing);
        for (const { alertId } of found.missing) lacking.add(alertId);
        for (const alertId of found.held) lacking.add(alertId);
      }
      pairs = [];
    };
    const checked: { alertId: number; recipients: number }[] = [];
    for (const [alertId, userIds] of recipients) {
      // More than one round publishes is not gathered: 500 broadcasts to 100,000 users would be gigabytes.
      if (missing.length >= REPUBLISH_MAX) break;
      checked.push({ alertId, recipients: userIds.length });
      for (const userId of userIds) {
        pairs.push({ alertId, userId });
        if (pairs.length === PAIRS) await flush();
      }
    }
    await flush();
    const complete = checked.filter(({ alertId }) => !lacking.has(alertId));
    // An alert that is not there (any more) is put off like one that lacks recipients, so that no run finds it twice.
    const incomplete = alertIds.filter((alertId) => !recipients.has(alertId) || lacking.has(alertId));
    return { missing, complete, incomplete };
  }
}

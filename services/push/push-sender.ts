import { inboxChangedRecord } from '../events/records.js';
import type { Breaker } from '../lib/breaker.js';
import type { DeadLetters } from '../lib/kafka/dead-letters.js';
import { backoffMs, wait } from '../lib/retry.js';
import { ATTR } from '../lib/telemetry/names.js';
import { failSpan, isSampled, SpanKind, type Span } from '../lib/telemetry/tracing.js';
import type { Publishing, Runtime } from '../runtime.js';
import { claimPushes, firstShown, type ClaimedPush, type PushOutcome } from '../store/pushes.js';
import { Fcm, FcmError } from './fcm.js';
import { OutcomeWriter } from './outcome-writer.js';
import { alertJobs, devicesWithSeveral, dismissalJobs, type Prepared, type PushJob } from './push-jobs.js';
import { Throttle } from './throttle.js';

/** How long claims are ours; firebase-admin gives up an attempt after 15 s. */
const CLAIM_MS = 60_000;
/** Claims that have waited here for longer are given back: they may have been read meanwhile. */
const FRESH_MS = 5000;
const POLL_MS = 500;
/** Claims of one statement. */
const CLAIMS_MAX = 500;
const RETRY_BASE_MS = 1000;
const RETRY_CAP_MS = 60_000;
/** How often an alarm about credentials is logged. */
const ALARM_MS = 60_000;

interface Queued {
  readonly job: PushJob;
  readonly claimedAt: number;
}

/** Claims what is due and sends it to FCM, as many at once as FCM bears. */
export class PushSender {
  readonly #throttle: Throttle;
  readonly #breaker: Breaker;
  readonly #fcm: Fcm;
  readonly #outcomes: OutcomeWriter;
  readonly #counters;
  #queue: Queued[] = [];
  #sending = 0;
  /** Messages that FCM has accepted so far. */
  #successes = 0;
  #alarmedAt = -ALARM_MS;
  #idle = new AbortController();

  /** @throws Error if the credentials cannot be read */
  constructor(
    private readonly runtime: Runtime,
    private readonly publishing: Publishing,
    private readonly deadLetters: DeadLetters,
  ) {
    const { config, metrics, database, logger } = runtime;
    this.#throttle = new Throttle(config.pushConcurrency);
    this.#breaker = runtime.breaker('fcm', (error) => error instanceof FcmError && error.isOutage);
    this.#fcm = new Fcm({
      credentials: config.fcmCredentials,
      projectId: config.fcmProjectId,
      url: config.fcmUrl,
      connections: config.pushConcurrency,
      onRetryAfter: (ms) => this.#throttle.pause(performance.now(), ms),
    });
    const removed = metrics.counter('ssom.push.tokens.removed', 'Devices that FCM does not know any more.');
    this.#outcomes = new OutcomeWriter(database, logger, (devices) => removed.add(devices));
    this.#counters = {
      messages: metrics.counter('ssom.push.messages', 'Messages to FCM, by what they are and what became of them.'),
      ended: metrics.counter('ssom.push.ended', 'Pushes that were not sent, by reason.'),
      duration: metrics.histogram('ssom.push.duration', 'Time that FCM took for a message, by what became of it.'),
      age: metrics.histogram('ssom.push.age', "Time from CreateAlert to FCM's acceptance."),
    };
    metrics.gauge('ssom.push.sending', 'Messages that are on their way to FCM.', () => this.#sending);
    metrics.gauge('ssom.push.limit', 'How many may be; at most PUSH_CONCURRENCY.', () => this.#throttle.limit);
    metrics.gauge('ssom.push.claimed', 'Claimed messages that wait for their turn.', () => this.#queue.length);
    metrics.gauge('ssom.push.outcomes', 'Outcomes that are still to be stored.', () => this.#outcomes.waiting);
    metrics.gauge(
      'ssom.push.paused',
      'Seconds until FCM may be asked again.',
      () => this.#throttle.pausedMs(performance.now()) / 1000,
    );
  }

  /** Something may be due. */
  wake = (): void => this.#idle.abort();

  /** Sends what is due until the signal aborts; then ends what is on its way. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', this.wake, { once: true });
    while (!signal.aborted) {
      this.#idle = new AbortController();
      const claimed = await this.#claim();
      this.#start();
      if (claimed === 0 || !this.#hasRoom) await wait(POLL_MS, this.#idle.signal);
    }
    for (const { job } of this.#queue.splice(0)) this.#release(job);
    while (this.#sending > 0) await wait(20);
    await this.#outcomes.settled();
  }

  async close(): Promise<void> {
    await this.#fcm.close();
  }

  get #mayStart(): boolean {
    const { limit } = this.#throttle;
    return (
      this.#sending < limit && this.#throttle.pausedMs(performance.now()) === 0 && this.#breaker.refusal === undefined
    );
  }

  /** Claims are taken when half of the places are free, so that one statement claims many. */
  get #hasRoom(): boolean {
    return this.#queue.length <= this.#throttle.limit / 2;
  }

  /** @returns how many were claimed */
  async #claim(): Promise<number> {
    if (!this.#mayStart || !this.#hasRoom) return 0;
    try {
      const { database } = this.runtime;
      const claims = await claimPushes(database, Math.min(this.#throttle.limit, CLAIMS_MAX), CLAIM_MS);
      const dismissals = claims.filter(({ dismiss }) => dismiss);
      const several = devicesWithSeveral(dismissals);
      const shown = several.length > 0 ? await firstShown(database, several) : new Map<number, number>();
      this.#take(alertJobs(claims.filter(({ dismiss }) => !dismiss)));
      this.#take(dismissalJobs(dismissals, shown));
      return claims.length;
    } catch (error) {
      this.runtime.logger.warn({ err: error }, 'pushes could not be claimed; trying again');
      return 0;
    }
  }

  #take({ jobs, ended }: Prepared): void {
    const claimedAt = performance.now();
    this.#queue.push(...jobs.map((job) => ({ job, claimedAt })));
    if (ended.length === 0) return;
    for (const { reason } of ended) this.#counters.ended.add(1, { reason });
    this.#outcomes.note(
      ended.map(({ claim: { deviceId, alertId }, reason }) => ({
        deviceId,
        alertId,
        state: reason === 'expired' ? 'expired' : 'skipped',
        error: reason,
      })),
    );
  }

  #start(): void {
    const now = performance.now();
    while (this.#queue.length > 0 && now - this.#queue[0]!.claimedAt > FRESH_MS)
      this.#release(this.#queue.shift()!.job);
    while (this.#queue.length > 0 && this.#mayStart) {
      this.#sending += 1;
      void this.#send(this.#queue.shift()!.job).finally(() => {
        this.#sending -= 1;
        this.#start();
        if (this.#hasRoom) this.wake();
      });
    }
  }

  /** Gives claims back that were not tried. */
  #release(job: PushJob): void {
    this.#outcomes.note(outcomesOf(job, { state: job.dismiss ? null : 'waiting', counts: false }));
  }

  async #send(job: PushJob): Promise<void> {
    const started = performance.now();
    const successes = this.#successes;
    const span = this.#startSpan(job);
    let result = 'sent';
    try {
      const messageName = await this.#breaker.run(() => this.#fcm.send(job.message));
      this.#succeed(job, messageName);
      span?.end();
    } catch (error) {
      failSpan(span, error as Error);
      // The breaker opened while it waited.
      if (!(error instanceof FcmError)) return this.#release(job);
      result = error.failure;
      await this.#fail(job, error, this.#successes > successes);
    }
    this.#counters.messages.add(1, { what: job.dismiss ? 'dismissal' : 'alert', result });
    this.#counters.duration.record((performance.now() - started) / 1000, { result });
  }

  #succeed(job: PushJob, messageName: string): void {
    this.#successes += 1;
    this.#throttle.succeeded();
    const [{ alert }] = job.claims as [ClaimedPush];
    if (!job.dismiss && alert !== null) this.#counters.age.record((Date.now() - alert.createdAt) / 1000);
    this.#outcomes.note(outcomesOf(job, { state: job.dismiss ? 'dismissed' : 'sent', messageName }));
  }

  /** @param alone whether others were accepted meanwhile: only then it counts against this message */
  async #fail(job: PushJob, error: FcmError, alone: boolean): Promise<void> {
    const { failure } = error;
    const text = `${error.code}: ${error.message}`;
    if (failure === 'dead') {
      const asOf = job.claims[0]!.now;
      const state = job.dismiss ? 'skipped' : 'failed';
      return this.#outcomes.note(outcomesOf(job, { state, error: text }), [{ deviceId: job.deviceId, asOf }]);
    }
    if (failure === 'throttled' || failure === 'unavailable') this.#throttle.refused(performance.now());
    if (failure === 'credentials') this.#raiseAlarm(error);
    const attempts = job.claims[0]!.attempts;
    const counts = alone && failure !== 'throttled';
    const over = failure === 'rejected' || (counts && attempts >= this.runtime.config.processingAttempts);
    if (over && (job.dismiss || (await this.#bury(job.claims[0]!, error)))) {
      return this.#outcomes.note(outcomesOf(job, { state: job.dismiss ? 'dismissed' : 'failed', error: text }));
    }
    const retryInMs = this.#throttle.pausedMs(performance.now()) + backoffMs(attempts, RETRY_BASE_MS, RETRY_CAP_MS);
    // Whoever cut the connection may have accepted it.
    const state = job.dismiss || failure === 'unavailable' ? null : 'waiting';
    this.#outcomes.note(outcomesOf(job, { state, retryInMs, counts, error: text }));
  }

  #raiseAlarm(error: FcmError): void {
    const now = performance.now();
    if (now - this.#alarmedAt < ALARM_MS) return;
    this.#alarmedAt = now;
    this.runtime.logger.error({ err: error }, 'FCM does not accept our credentials, or not for these tokens');
  }

  /** Puts a push among the dead letters, as the inbox change that it came from. @returns whether Kafka took it */
  async #bury(claim: ClaimedPush, error: FcmError): Promise<boolean> {
    const { userId, alertId, entry, unreadCount, alert, attempts } = claim;
    const { events } = this.publishing;
    const sequence = entry?.sequence ?? 0;
    const traceparent = alert?.traceparent ?? '';
    const changes = [{ sequence, alertId, type: 'CREATED' as const, isRead: false, traceparent }];
    const { topic, value } = inboxChangedRecord(events, { userId, lastSequence: sequence, unreadCount, changes });
    const timestamp = Date.now();
    const rawKey = Buffer.from(userId);
    try {
      // No record of the topic failed, so there is no partition or offset to name.
      await this.deadLetters.send(
        { topic, partition: -1, offset: -1, timestamp, key: userId, rawKey, value: value as Buffer, headers: [] },
        {
          errorClass: error.failure === 'rejected' ? 'poison' : 'exhausted',
          error: new Error(`push to device ${claim.deviceId}: ${error.message}`),
          attempts,
          firstFailureAt: timestamp,
          lastFailureAt: timestamp,
        },
      );
      return true;
    } catch (failure) {
      this.runtime.logger.warn({ err: failure }, 'a push could not be put among the dead letters; trying again');
      return false;
    }
  }

  #startSpan({ claims, dismiss }: PushJob): Span | undefined {
    const { tracing } = this.runtime;
    const [{ alert, alertId, attempts }] = claims as [ClaimedPush];
    const parent = alert?.traceparent ?? undefined;
    if (!tracing.enabled || !isSampled(parent)) return undefined;
    return tracing.start(dismiss ? 'dismiss fcm' : 'send fcm', {
      kind: SpanKind.CLIENT,
      parent,
      attributes: { [ATTR.alertId]: alertId, [ATTR.serverAddress]: this.#fcm.host, [ATTR.pushAttempt]: attempts },
    });
  }
}

type Outcome = Omit<PushOutcome, 'deviceId' | 'alertId'>;

function outcomesOf({ claims }: PushJob, outcome: Outcome): PushOutcome[] {
  return claims.map(({ deviceId, alertId }) => ({ deviceId, alertId, ...outcome }));
}

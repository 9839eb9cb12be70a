import { LRUCache } from 'lru-cache';
import { type DevicePlatform, NO_LETTER } from '../domain/device.js';
import { type Breaker, CircuitOpen } from '../lib/breaker.js';
import { backoffMs } from '../lib/retry.js';
import { traceIdOf } from '../lib/telemetry/tracing.js';
import { wallClock } from '../lib/wall-clock.js';
import type { Processed } from '../runtime/alarms.js';
import type { RuntimeParts } from '../runtime/runtime.js';
import { HOPELESS } from '../store/device-refusals.js';
import type { PushOutcome } from '../store/pushes.js';
import type { DeviceWaits } from './device-waits.js';
import { type Fcm, FCM_FAILURES, FcmError } from './fcm.js';
import type { OutcomeWriter } from './outcome-writer.js';
import type { PushDeadLetters } from './push-dead-letters.js';
import type { PushJob } from './push-jobs.js';
import type { PushTracing } from './push-trace.js';
import type { Throttle } from './throttle.js';

const RETRY_BASE_MS = 1000;
const RETRY_CAP_MS = 30_000;
/** How often an alarm about credentials is logged. */
const ALARM_MS = 60_000;
/** Failing pushes of which is known what succeeded since they last failed. */
const REMEMBERED = 10_000;

export interface PushSenderDeps {
  readonly runtime: RuntimeParts<'alarms' | 'config' | 'logger' | 'metrics' | 'retries'>;
  readonly fcm: Fcm;
  readonly breaker: Breaker;
  readonly throttle: Throttle;
  readonly devices: DeviceWaits;
  readonly outcomes: OutcomeWriter;
  readonly deadLetters: PushDeadLetters;
  readonly traces: PushTracing;
  /** Told of each push that was not sent, and why. */
  readonly onEnded: (reason: string) => void;
}

/** When a message was sent, and how many FCM had taken by then. */
interface Sent {
  readonly sentAt: number;
  readonly taken: number;
}

/** Sends one message, and decides what follows from FCM's answer. */
export class PushSender {
  /** How many messages FCM had taken when a push failed last. */
  readonly #failed = new LRUCache<string, number>({ max: REMEMBERED });
  #alarmedAt = -ALARM_MS;
  readonly #counters;
  readonly #latency;
  readonly #retry;

  constructor(private readonly deps: PushSenderDeps) {
    const { metrics } = deps.runtime;
    this.#counters = {
      messages: metrics.counter('ssom.push.messages', 'Messages to FCM, by what they are and what became of them.'),
      duration: metrics.histogram('ssom.push.duration', 'Time that FCM took for a message, by what became of it.'),
    };
    this.#latency = metrics.latency(
      'ssom.alert.create_to_push',
      "Time from CreateAlert's commit to FCM's acceptance, for each device.",
    );
    this.#retry = deps.runtime.retries('fcm', FCM_FAILURES);
  }

  async send(job: PushJob): Promise<void> {
    const { devices, breaker } = this.deps;
    const started = performance.now();
    const sent = { sentAt: started, taken: devices.taken };
    const trace = this.deps.traces.begin(job);
    let result = 'sent';
    try {
      this.#succeed(job, await breaker.run(() => this.#ask(job, sent)));
      trace?.end();
    } catch (error) {
      // The breaker opened while it waited: FCM was not asked.
      if (error instanceof CircuitOpen) return this.release(job);
      trace?.end(error as Error);
      if (!(error instanceof FcmError)) throw error;
      result = error.failure;
      await this.#fail(job, error, sent);
    }
    this.#counters.messages.add(1, { what: job.dismiss ? 'dismissal' : 'alert', result });
    const ms = performance.now() - started;
    this.#counters.duration.record(ms / 1000, { result });
    this.deps.runtime.alarms.processed('push', ms, () => processedBy(job));
  }

  async #ask({ message, deviceId }: PushJob, { taken }: Sent): Promise<string> {
    const { fcm, breaker, devices } = this.deps;
    try {
      return await fcm.send(message);
    } catch (error) {
      if (error instanceof FcmError && breaker.state === 'closed') error.ofDevice = devices.isAlone(deviceId, taken);
      throw error;
    }
  }

  /** Gives claims back that were not tried. @param retryInMs until they are due again */
  release(job: PushJob, retryInMs = 0): void {
    this.deps.outcomes.note(outcomesOf(job, { state: stateUnsent(job), retryInMs, untried: true }));
  }

  #succeed(job: PushJob, messageName: string): void {
    const { throttle, devices, outcomes } = this.deps;
    throttle.succeeded();
    const refusals = devices.served(job.deviceId, platformOf(job), alertIdOf(job));
    if (refusals !== undefined) outcomes.noteDevice({ deviceId: job.deviceId, refusals });
    this.#failed.delete(keyOf(job));
    const { alert } = job.claims[0]!;
    if (!job.dismiss && alert !== null)
      this.#latency.record((wallClock() - alert.createdAt) / 1000, alert.traceparent ?? undefined);
    outcomes.note(outcomesOf(job, { state: job.dismiss ? 'dismissed' : 'sent', messageName }));
  }

  /**
   * Whether others were accepted since this one failed last, or since it was sent: only then the fault may be its own.
   */
  #othersSucceeded(job: PushJob, { taken }: Sent): boolean {
    const key = keyOf(job);
    const now = this.deps.devices.taken;
    const since = this.#failed.get(key) ?? taken;
    this.#failed.set(key, now);
    return now > since;
  }

  async #fail(job: PushJob, error: FcmError, sent: Sent): Promise<void> {
    const { outcomes } = this.deps;
    const { failure } = error;
    const text = textOf(error);
    const othersSucceeded = this.#othersSucceeded(job, sent);
    if (failure === 'credentials') this.#raiseAlarm(job, error);
    if (failure === 'dead') {
      const { refreshedAt } = job.claims[0]!.device!;
      const state = job.dismiss ? 'skipped' : 'failed';
      return outcomes.note(outcomesOf(job, { state, error: text }), [{ deviceId: job.deviceId, refreshedAt }]);
    }
    const strike = othersSucceeded && (failure === 'transient' || failure === 'credentials');
    const unsent = ['throttled', 'unavailable', 'rejected', 'token'].includes(failure);
    if (unsent || strike) this.#refuse(job, error, sent);
    if (this.#isOver(job, error, strike)) {
      const end = await this.#end(job, error);
      if (end !== undefined) {
        this.#failed.delete(keyOf(job));
        return outcomes.note(outcomesOf(job, end));
      }
    }
    this.#retry(failure);
    const retryInMs = this.#retryInMs(job);
    const state = unsent || failure === 'credentials' ? stateUnsent(job) : null;
    outcomes.note(outcomesOf(job, { state, retryInMs, strike, error: text }));
  }

  /** The device waits; everybody does where FCM refuses several that it had served. */
  #refuse(job: PushJob, { failure, retryAfterMs }: FcmError, sent: Sent): void {
    const { deviceId } = job;
    const { devices, throttle, outcomes } = this.deps;
    const now = performance.now();
    const refused = { failure, platform: platformOf(job), retryAfterMs, alertId: alertIdOf(job) };
    const wait = devices.refused(deviceId, now, sent, refused);
    if (wait === undefined) return;
    outcomes.noteDevice({ deviceId, ...wait });
    if (wait.fresh && (failure === 'throttled' || failure === 'unavailable')) throttle.refused(now, retryAfterMs);
  }

  #retryInMs({ deviceId, claims }: PushJob): number {
    const { devices, throttle } = this.deps;
    const now = performance.now();
    const waitsMs = devices.waitsMs(deviceId, now);
    if (waitsMs > 0) return waitsMs;
    return throttle.pausedMs(now) + backoffMs(claims[0]!.attempts - 1, RETRY_BASE_MS, RETRY_CAP_MS);
  }

  /** Whether it is not tried again. */
  #isOver({ claims }: PushJob, { failure }: FcmError, strike: boolean): boolean {
    const strikes = claims[0]!.strikes + (strike ? 1 : 0);
    return failure === 'rejected' || (strike && strikes >= this.deps.runtime.config.processingAttempts);
  }

  /**
   * Puts a push among the dead letters, unless its device has made enough of them. A dismissal is not worth one.
   * @returns undefined if that failed
   */
  async #end(job: PushJob, error: FcmError): Promise<Pick<PushOutcome, 'state' | 'error'> | undefined> {
    const { deadLetters, devices } = this.deps;
    const text = textOf(error);
    if (job.dismiss) return { state: 'dismissed', error: text };
    if (devices.inRow(job.deviceId) > HOPELESS) {
      this.deps.onEnded('failed');
      return { state: 'failed', error: text + NO_LETTER };
    }
    return (await deadLetters.send(job.claims[0]!, error)) ? { state: 'failed', error: text } : undefined;
  }

  #raiseAlarm({ claims }: PushJob, error: FcmError): void {
    const now = performance.now();
    if (now - this.#alarmedAt < ALARM_MS) return;
    this.#alarmedAt = now;
    const { alertId, alert } = claims[0]!;
    const about = { alert_id: alertId, trace_id: traceIdOf(alert?.traceparent) };
    this.deps.runtime.logger.error(
      { err: error, ...about },
      'FCM does not accept our credentials, or not for these tokens',
    );
  }
}

function processedBy({ claims }: PushJob): Processed {
  return { alertIds: claims.map(({ alertId }) => alertId), traceparent: claims[0]!.alert?.traceparent ?? undefined };
}

function textOf({ code, message }: FcmError): string {
  return `${code}: ${message}`;
}

/** After what was certainly not accepted: one that was tried before may have been accepted then. */
function stateUnsent({ dismiss, claims }: PushJob): 'waiting' | null {
  return dismiss || claims[0]!.attempts > 1 ? null : 'waiting';
}

/** A job is made only for a device that is there. */
function platformOf({ claims }: PushJob): DevicePlatform {
  return claims[0]!.device!.platform;
}

/** Undefined: it is a dismissal. */
function alertIdOf({ claims, dismiss }: PushJob): number | undefined {
  return dismiss ? undefined : claims[0]!.alertId;
}

function keyOf({ deviceId, claims, dismiss }: PushJob): string {
  return `${deviceId}/${claims[0]!.alertId}/${dismiss}`;
}

function outcomesOf({ claims }: PushJob, outcome: Omit<PushOutcome, 'claim'>): PushOutcome[] {
  return claims.map((claim) => ({ claim, ...outcome }));
}

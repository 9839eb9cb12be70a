import { levelRank } from '../domain/alert.js';
import type { Breaker } from '../lib/breaker.js';
import { wait } from '../lib/retry.js';
import type { Publishing, RuntimeParts } from '../runtime/runtime.js';
import { claimDismissals, type ClaimedPush, claimPushes, firstShown, horizonMs } from '../store/pushes.js';
import { Backpressure, type BackpressureReason } from './backpressure.js';
import { DeviceWaits } from './device-waits.js';
import { Fcm, FcmError } from './fcm.js';
import { InHand } from './in-hand.js';
import { OutcomeWriter } from './outcome-writer.js';
import { PushDeadLetters } from './push-dead-letters.js';
import { alertJobs, devicesWithSeveral, dismissalJobs, type Ended, type Prepared, type PushJob } from './push-jobs.js';
import { PushSender } from './push-sender.js';
import { PushTracing } from './push-trace.js';
import { Throttle } from './throttle.js';

/** How long claims are ours: a message waits for FRESH_MS and takes 20 s at most. */
const CLAIM_MS = 30_000;
/** Claims that have waited here for longer are given back: they may have been read meanwhile. */
const FRESH_MS = 5000;
const POLL_MS = 500;
/** Claims of one statement. */
const CLAIMS_MAX = 500;
/** While so many outcomes cannot be stored nothing is claimed. */
const OUTCOMES_MAX = 5000;
/** Parts of SHUTDOWN_TIMEOUT_MS: until what is on its way is cut, and then until its outcomes are stored. */
const DRAIN = 0.4;
const STORE = 0.2;

interface Queued {
  readonly job: PushJob;
  readonly claimedAt: number;
}

/** Claims what is due and has it sent to FCM, as many at once as FCM bears. */
export class PushDispatcher {
  readonly #throttle: Throttle;
  readonly #breaker: Breaker;
  readonly #fcm: Fcm;
  readonly #outcomes: OutcomeWriter;
  readonly #sender: PushSender;
  readonly #devices = new DeviceWaits();
  readonly #inHand = new InHand();
  readonly #backpressure = new Backpressure();
  readonly #traces: PushTracing;
  readonly #onEnded: (reason: string) => void;
  #queue: Queued[] = [];
  #sending = 0;
  #idle = new AbortController();
  #closing: Promise<void> | undefined;

  /** @throws Error if the credentials cannot be read */
  constructor(
    private readonly deps: RuntimeParts<
      'alarms' | 'breaker' | 'config' | 'database' | 'logger' | 'metrics' | 'retries' | 'tracing'
    >,
    publishing: Publishing,
    group: string,
  ) {
    const { config, metrics, database, logger } = deps;
    const throttle = new Throttle(config.pushConcurrency);
    const fcm = new Fcm({
      credentials: config.fcmCredentials,
      projectId: config.fcmProjectId,
      url: config.fcmUrl,
      connections: config.pushConcurrency,
    });
    const breaker = deps.breaker('fcm', (error) => error instanceof FcmError && error.isOutage);
    const removed = {
      unknown: metrics.counter('ssom.push.tokens.removed', 'Devices that FCM does not know any more.'),
      hopeless: metrics.counter(
        'ssom.push.devices.hopeless',
        'Devices that were removed as FCM refused them for too long.',
      ),
    };
    const outcomes = new OutcomeWriter({
      database,
      logger,
      hopelessAfterMs: config.pushDeviceRefusedMaxMs,
      onRemoved: (devices, reason) => removed[reason].add(devices),
      onNewsStored: (deviceIds) => this.#devices.stored(deviceIds, performance.now()),
    });
    const deadLetters = new PushDeadLetters(deps, publishing, group);
    this.#throttle = throttle;
    this.#fcm = fcm;
    this.#breaker = breaker;
    this.#outcomes = outcomes;
    const { tracing } = deps;
    const traces = new PushTracing({
      tracing,
      host: fcm.host,
      slowMs: config.slowProcessingMs,
      backpressure: this.#backpressure,
    });
    this.#traces = traces;
    const devices = this.#devices;
    const ended = metrics.counter('ssom.push.ended', 'Pushes that were not sent, by reason.');
    this.#onEnded = (reason) => ended.add(1, { reason });
    const sending = { fcm, breaker, throttle, devices, outcomes, deadLetters, traces, onEnded: this.#onEnded };
    this.#sender = new PushSender({ runtime: deps, ...sending });
    this.#observe();
  }

  #observe(): void {
    const { metrics, config } = this.deps;
    const { pushConcurrency } = config;
    metrics.gauge('ssom.push.sending', 'Messages that are on their way to FCM.', () => this.#sending);
    metrics.gauge(
      'ssom.push.limit',
      'How many messages may be on their way to FCM; at most PUSH_CONCURRENCY.',
      () => this.#limit,
    );
    metrics.gauge('ssom.push.claimed', 'Claimed messages that wait for their turn.', () => this.#queue.length);
    metrics.gauge('ssom.push.outcomes', 'Outcomes that are still to be stored.', () => this.#outcomes.waiting);
    metrics.gauge('ssom.push.devices.waiting', 'Devices that FCM refused, and that wait.', () =>
      this.#devices.waiting(performance.now()),
    );
    metrics.queue('push', () => this.#queue.length, pushConcurrency + Math.min(2 * pushConcurrency, CLAIMS_MAX));
    metrics.queue('push_outcomes', () => this.#outcomes.waiting, OUTCOMES_MAX);
    metrics.gauge(
      'ssom.push.paused',
      'Seconds until FCM may be asked again.',
      () => this.#throttle.pausedMs(performance.now()) / 1000,
    );
  }

  /** Something may be due. */
  wake = (): void => this.#idle.abort();

  /** Sends what is due until the signal aborts; then ends, or cuts, what is on its way. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', this.wake, { once: true });
    while (!signal.aborted) {
      this.#idle = new AbortController();
      const claimed = await this.#claim();
      this.#start();
      if (claimed === 0 || !this.#hasRoom) await wait(POLL_MS, this.#idle.signal);
    }
    await this.#drain();
  }

  async #drain(): Promise<void> {
    const { shutdownTimeoutMs } = this.deps.config;
    for (const { job } of this.#queue.splice(0)) this.#release(job);
    await this.#untilSent(shutdownTimeoutMs * DRAIN);
    // What is cut now is sent again by whoever claims it next: FCM may have it or not.
    await this.close();
    await this.#untilSent(100);
    await this.#outcomes.stop(shutdownTimeoutMs * STORE);
  }

  async #untilSent(withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (this.#sending > 0 && performance.now() < deadline) await wait(20);
  }

  close(): Promise<void> {
    this.#closing ??= this.#fcm.close();
    return this.#closing;
  }

  /** How many may be on their way: one while it is tried whether FCM is back. */
  get #limit(): number {
    return this.#breaker.state === 'half-open' ? 1 : this.#throttle.limit;
  }

  /** Why nothing may be sent just now. */
  get #heldBackBy(): BackpressureReason | undefined {
    if (this.#breaker.state === 'open') return 'breaker_open';
    if (this.#throttle.pausedMs(performance.now()) > 0) return 'fcm_asked_to_wait';
    return this.#sending < this.#limit ? undefined : 'all_places_taken';
  }

  /** One message waits for each place, so that none is empty while more are claimed; one statement claims many. */
  get #hasRoom(): boolean {
    return this.#queue.length <= this.#limit && this.#outcomes.waiting < OUTCOMES_MAX;
  }

  /** @returns how many were claimed */
  async #claim(): Promise<number> {
    const reason = this.#heldBackBy;
    if (reason !== undefined) this.#backpressure.note(reason);
    if (reason !== undefined || !this.#hasRoom) return 0;
    try {
      const readAt = performance.now();
      const claims = await this.#claimTurns();
      const alerts = claims.filter(({ dismiss }) => !dismiss);
      this.#take(alertJobs(alerts, this.deps.config.pushApnsCritical), readAt);
      const dismissals = claims.filter(({ dismiss }) => dismiss);
      if (dismissals.length > 0) await this.#takeDismissals(dismissals, readAt);
      return claims.length;
    } catch (error) {
      this.#backpressure.note('database');
      this.deps.logger.warn({ err: error }, 'pushes could not be claimed; trying again');
      return 0;
    }
  }

  /** Users who have half of all places come after the others; devices that have their share are left out. */
  async #claimTurns(): Promise<ClaimedPush[]> {
    const wanted = Math.min(2 * this.#limit, CLAIMS_MAX);
    const busyUsers = this.#inHand.usersWith(Math.ceil(this.#limit / 2));
    const claims = await this.#claimSome(wanted, busyUsers);
    if (claims.length === wanted || busyUsers.length === 0) return claims;
    return [...claims, ...(await this.#claimSome(wanted - claims.length, []))];
  }

  #claimSome(limit: number, busyUsers: readonly string[]): Promise<ClaimedPush[]> {
    const busyDevices = this.#inHand.busyDevices((deviceId) => this.#devices.isTried(deviceId));
    return claimPushes(this.deps.database, { ...this.#claiming, limit, busyUsers, busyDevices });
  }

  get #claiming() {
    return { claimMs: CLAIM_MS, horizonMs: horizonMs(this.deps.config.pushGraceMs) };
  }

  async #takeDismissals(claims: ClaimedPush[], readAt: number): Promise<void> {
    const { database } = this.deps;
    const several = devicesWithSeveral(claims);
    if (several.length === 0) return this.#take(dismissalJobs(claims, new Map()), readAt);
    const all = [...claims, ...(await claimDismissals(database, several, this.#claiming))];
    this.#take(dismissalJobs(all, await firstShown(database, several)), readAt);
  }

  /** @param readAt before the claims, and what they say of their devices, were read */
  #take({ jobs, ended }: Prepared, readAt: number): void {
    for (const job of jobs) this.#enqueue(job, readAt);
    // The most urgent first; of the same urgency the first one first.
    this.#queue.sort((a, b) => urgencyOf(b.job) - urgencyOf(a.job));
    if (ended.length === 0) return;
    for (const { claim, reason } of ended) if (reason === 'expired') this.#traces.expired(claim);
    const outcomes = ended.map(outcomeOf);
    this.#outcomes.note(outcomes);
    for (const { state, error } of outcomes) if (state !== null) this.#onEnded(error);
  }

  /** A device that waits gets nothing, one that is tried gets one at a time: the others are given back. */
  #enqueue(job: PushJob, readAt: number): void {
    const { deviceId } = job;
    const now = performance.now();
    const { device } = job.claims[0]!;
    if (device !== null) this.#devices.learn(deviceId, now, { ...device, readAt });
    const waitsMs = this.#devices.waitsMs(deviceId, now);
    if (waitsMs > 0) return this.#sender.release(job, waitsMs);
    if (this.#devices.isTried(deviceId) && this.#inHand.ofDevice(deviceId) > 0) return this.#sender.release(job);
    this.#inHand.take(job);
    this.#queue.push({ job, claimedAt: now });
  }

  #release(job: PushJob): void {
    this.#inHand.settled(job);
    this.#sender.release(job, this.#devices.waitsMs(job.deviceId, performance.now()));
  }

  #start(): void {
    const fresh = performance.now() - FRESH_MS;
    const stale = this.#queue.filter(({ claimedAt }) => claimedAt < fresh);
    if (stale.length > 0) this.#queue = this.#queue.filter(({ claimedAt }) => claimedAt >= fresh);
    for (const { job } of stale) this.#release(job);
    while (this.#queue.length > 0 && this.#heldBackBy === undefined) {
      const { job } = this.#queue.shift()!;
      // It was claimed before its device was refused.
      if (this.#devices.waitsMs(job.deviceId, performance.now()) > 0) {
        this.#release(job);
        continue;
      }
      this.#sending += 1;
      void this.#send(job);
    }
  }

  async #send(job: PushJob): Promise<void> {
    try {
      await this.#sender.send(job);
    } catch (error) {
      // Its claim ends, and it is tried again.
      this.deps.logger.error({ err: error }, 'a push failed unexpectedly');
    }
    this.#sending -= 1;
    this.#inHand.settled(job);
    this.#start();
    if (this.#hasRoom) this.wake();
  }
}

function urgencyOf({ dismiss, claims }: PushJob): number {
  return dismiss ? 0 : levelRank(claims[0]!.alert!.level);
}

function outcomeOf({ claim, reason }: Ended) {
  // It was tried before and may have been accepted: planning makes a dismissal of it.
  if (claim.attempts > 1 && (reason === 'read' || reason === 'deleted'))
    return { claim, state: null, retryInMs: 1000, untried: true, error: reason };
  return { claim, state: reason === 'expired' ? ('expired' as const) : ('skipped' as const), error: reason };
}

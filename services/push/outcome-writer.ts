import type { Logger } from '../lib/logging.js';
import type { Database } from '../lib/postgres.js';
import { wait } from '../lib/retry.js';
import { refuseDevices, relieveDevices, removeHopelessDevices, type DeviceRefusal } from '../store/device-refusals.js';
import { removeDeadDevices } from '../store/devices.js';
import { finishPushes, type PushOutcome } from '../store/pushes.js';

/** How long outcomes gather before they are stored together, and how many at most. */
const GATHER_MS = 20;
const BATCH = 500;
const RETRY_CAP_MS = 1000;

/** A device that FCM does not know any more, as it was read: when it was registered or renewed last. */
export interface DeadDevice {
  readonly deviceId: number;
  readonly refreshedAt: number;
}

/** What was learned of a device: it was refused, or served after it had been. */
export type DeviceNews = DeviceRefusal | { readonly deviceId: number; readonly refusals: number };

export interface OutcomeWriterOptions {
  readonly database: Database;
  readonly logger: Logger;
  /** A device goes that was refused for so long, while others of its platform were served. */
  readonly hopelessAfterMs: number;
  /** Told how many devices were removed. */
  readonly onRemoved: (devices: number, reason: 'unknown' | 'hopeless') => void;
  /** Told of which devices the table has the last news. */
  readonly onNewsStored: (deviceIds: readonly number[]) => void;
}

/**
 * Stores what became of claims, many in a statement. While PostgreSQL is away they wait here; nothing is claimed meanwhile.
 * What is lost with the process is claimed and sent again, under the same collapse key.
 */
export class OutcomeWriter {
  #outcomes: PushOutcome[] = [];
  #dead: DeadDevice[] = [];
  /** Of each device only the last. */
  #news = new Map<number, DeviceNews>();
  #writing: Promise<void> | undefined;
  readonly #stopped = new AbortController();

  constructor(private readonly options: OutcomeWriterOptions) {}

  note(outcomes: readonly PushOutcome[], dead: readonly DeadDevice[] = []): void {
    for (const outcome of outcomes) this.#outcomes.push(outcome);
    this.#dead.push(...dead);
    this.#writing ??= this.#write();
  }

  /** Is stored with the outcomes that follow. */
  noteDevice(news: DeviceNews): void {
    this.#news.set(news.deviceId, news);
  }

  get waiting(): number {
    return this.#outcomes.length;
  }

  /** Stores what is left, in so many milliseconds at most; then gives up. */
  async stop(withinMs: number): Promise<void> {
    const over = new AbortController();
    await Promise.race([this.#writing, wait(withinMs, over.signal)]);
    over.abort();
    this.#stopped.abort();
  }

  async #write(): Promise<void> {
    let failures = 0;
    while (this.#outcomes.length > 0 && !this.#stopped.signal.aborted) {
      await wait(Math.min(RETRY_CAP_MS, GATHER_MS * 2 ** failures), this.#stopped.signal);
      try {
        await this.#writeBatch();
        failures = 0;
      } catch (error) {
        failures += 1;
        const outcomes = this.#outcomes.length;
        this.options.logger.warn({ err: error, outcomes }, 'what became of pushes could not be stored');
      }
    }
    // Before the promise resolves, or what is added in between starts no new run.
    this.#writing = undefined;
  }

  async #writeBatch(): Promise<void> {
    const { database, onRemoved } = this.options;
    const outcomes = this.#outcomes.slice(0, BATCH);
    const dead = this.#dead.slice(0, BATCH);
    await finishPushes(database, outcomes);
    if (dead.length > 0) onRemoved(await removeDeadDevices(database, dead), 'unknown');
    if (this.#news.size > 0) await this.#writeNews();
    this.#outcomes = this.#outcomes.slice(outcomes.length);
    this.#dead = this.#dead.slice(dead.length);
  }

  async #writeNews(): Promise<void> {
    const { database, onNewsStored } = this.options;
    const news = [...this.#news.values()].slice(0, BATCH);
    const refused = news.filter((each): each is DeviceRefusal => 'waitMs' in each);
    const served = news.filter((each) => !('waitMs' in each));
    if (served.length > 0) await relieveDevices(database, served);
    if (refused.length > 0) await refuseDevices(database, refused);
    await this.#removeHopeless(refused.filter(({ ownFault }) => ownFault === true).map(({ deviceId }) => deviceId));
    const last = news.filter((each) => this.#news.get(each.deviceId) === each).map(({ deviceId }) => deviceId);
    for (const deviceId of last) this.#news.delete(deviceId);
    onNewsStored(last);
  }

  async #removeHopeless(deviceIds: readonly number[]): Promise<void> {
    if (deviceIds.length === 0) return;
    const { database, logger, hopelessAfterMs, onRemoved } = this.options;
    const removed = await removeHopelessDevices(database, deviceIds, hopelessAfterMs);
    for (const { deviceId, userId, refusals } of removed) {
      const device = { device_id: deviceId, user_id: userId, refusals };
      logger.warn(
        device,
        'a device was removed: FCM has refused it for too long while it served others of its platform',
      );
    }
    if (removed.length > 0) onRemoved(removed.length, 'hopeless');
  }
}

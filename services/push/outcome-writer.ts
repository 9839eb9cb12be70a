import type { Logger } from '../lib/logging.js';
import type { Database } from '../lib/postgres.js';
import { WriteBehind } from '../lib/write-behind.js';
import { type DeviceRefusal, refuseDevices, relieveDevices, removeHopelessDevices } from '../store/device-refusals.js';
import { removeDeadDevices } from '../store/devices.js';
import { finishPushes, type PushOutcome } from '../store/pushes.js';

/** How long outcomes gather before they are stored together, and how many at most. */
const GATHER_MS = 20;
const BATCH = 500;

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
 * Stores what became of claims, many in a statement. While PostgreSQL is away they wait here, and nothing is claimed.
 * What is lost with the process is claimed and sent again, under the same collapse key.
 */
export class OutcomeWriter {
  readonly #outcomes: WriteBehind<PushOutcome>;
  #dead: DeadDevice[] = [];
  /** Of each device only the last. */
  readonly #news = new Map<number, DeviceNews>();

  constructor(private readonly options: OutcomeWriterOptions) {
    this.#outcomes = new WriteBehind({
      gatherMs: GATHER_MS,
      batchMax: BATCH,
      write: (outcomes) => this.#write(outcomes),
      onFailure: (error) =>
        options.logger.warn({ err: error, outcomes: this.waiting }, 'what became of pushes could not be stored'),
    });
  }

  note(outcomes: readonly PushOutcome[], dead: readonly DeadDevice[] = []): void {
    this.#dead.push(...dead);
    this.#outcomes.add(outcomes);
  }

  /** Is stored with the outcomes that follow. */
  noteDevice(news: DeviceNews): void {
    this.#news.set(news.deviceId, news);
  }

  get waiting(): number {
    return this.#outcomes.waiting;
  }

  /** Stores what is left, in so many milliseconds at most; then gives up. */
  stop(withinMs: number): Promise<void> {
    return this.#outcomes.stop(withinMs);
  }

  async #write(outcomes: readonly PushOutcome[]): Promise<void> {
    const { database, onRemoved } = this.options;
    const dead = this.#dead.slice(0, BATCH);
    await finishPushes(database, outcomes);
    if (dead.length > 0) onRemoved(await removeDeadDevices(database, dead), 'unknown');
    if (this.#news.size > 0) await this.#writeNews();
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

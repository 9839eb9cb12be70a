import { OF_DEVICE } from '../store/pushes.js';
import type { PushJob } from './push-jobs.js';

/** What was claimed and is not settled yet, by user and device: who has enough of it is passed over. */
export class InHand {
  readonly #users = new Map<string, number>();
  readonly #devices = new Map<number, number>();

  take(job: PushJob): void {
    add(this.#users, userOf(job), 1);
    add(this.#devices, job.deviceId, 1);
  }

  settled(job: PushJob): void {
    add(this.#users, userOf(job), -1);
    add(this.#devices, job.deviceId, -1);
  }

  ofDevice(deviceId: number): number {
    return this.#devices.get(deviceId) ?? 0;
  }

  /** Users with so many messages or more. */
  usersWith(messages: number): string[] {
    return keysWith(this.#users, messages);
  }

  /** Devices that have half of what one claim takes, and those that are tried, which have one at a time. */
  busyDevices(isTried: (deviceId: number) => boolean): number[] {
    const busy = keysWith(this.#devices, OF_DEVICE / 2);
    for (const [deviceId, count] of this.#devices) if (count < OF_DEVICE / 2 && isTried(deviceId)) busy.push(deviceId);
    return busy;
  }
}

function userOf({ claims }: PushJob): string {
  return claims[0]!.userId;
}

function add<K>(counts: Map<K, number>, key: K, change: number): void {
  const count = (counts.get(key) ?? 0) + change;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

function keysWith<K>(counts: ReadonlyMap<K, number>, least: number): K[] {
  return [...counts].filter(([, count]) => count >= least).map(([key]) => key);
}

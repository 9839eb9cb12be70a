import { PUSH_WAIT_MAX_MS } from '../store/pushes.js';

/** First wait of a device that FCM refused without saying for how long; it doubles with each refusal. */
const WAIT_MS = 2000;
/** Refusals that count while nobody else is served either: it may be FCM, and then nobody is to wait for long. */
const UNPROVEN_MAX = 4;
/** Devices of which this is known; what is forgotten is in the table. */
const REMEMBERED = 10_000;

interface Waiting {
  refusals: number;
  /** When it was refused last, and until when it waits. */
  since: number;
  until: number;
}

/** What follows for a device from a refusal. */
export interface Wait {
  readonly waitMs: number;
  readonly refusals: number;
  /** Whether others were served since it was refused last. */
  readonly proven: boolean;
  /** Whether it was served before this one. */
  readonly fresh: boolean;
}

/**
 * Devices that FCM refuses: each waits by itself, twice as long each time, and is then asked with one message until as many were
 * taken as were refused. Times are of performance.now().
 */
export class DeviceWaits {
  readonly #waiting = new Map<number, Waiting>();
  /** The last message that FCM took, and the last one that it took for another device: by their number. */
  #taken = 0;
  #last = { deviceId: -1, number: 0 };
  #lastOther = { deviceId: -1, number: 0 };
  readonly #refusedAt = new Map<number, number>();

  /** Messages that FCM has taken so far. */
  get taken(): number {
    return this.#taken;
  }

  /** How many devices wait. */
  waiting(now: number): number {
    return [...this.#waiting.values()].filter(({ until }) => until > now).length;
  }

  /** Whether it is asked with one message at a time. */
  isTried(deviceId: number): boolean {
    return this.#waiting.has(deviceId);
  }

  /** Whether it is tried and others are served, so that its failures say nothing of FCM. @param taken when it was sent */
  isAlone(deviceId: number, taken: number): boolean {
    return this.isTried(deviceId) && this.#othersServed(deviceId, this.#refusedAt.get(deviceId) ?? taken);
  }

  /** Milliseconds for which it gets nothing. */
  waitsMs(deviceId: number, now: number): number {
    return Math.max(0, (this.#waiting.get(deviceId)?.until ?? 0) - now);
  }

  /** What the table says of it, where that may be newer: other instances serve it as well. */
  learn(deviceId: number, now: number, { refusals, waitsMs }: { refusals: number; waitsMs: number }): void {
    const known = this.#waiting.get(deviceId);
    if (known !== undefined && known.until > now) return;
    if (refusals === 0 && waitsMs === 0) this.#waiting.delete(deviceId);
    else this.#remember(deviceId, { refusals, since: known?.since ?? -Infinity, until: now + waitsMs });
  }

  /** @returns the refusals that are left, if it had any */
  served(deviceId: number): number | undefined {
    this.#taken += 1;
    if (this.#last.deviceId !== deviceId) this.#lastOther = this.#last;
    this.#last = { deviceId, number: this.#taken };
    this.#refusedAt.delete(deviceId);
    const known = this.#waiting.get(deviceId);
    if (known === undefined) return undefined;
    known.refusals = Math.max(0, known.refusals - 1);
    known.until = 0;
    if (known.refusals === 0) this.#waiting.delete(deviceId);
    return known.refusals;
  }

  /**
   * @param message when it was sent, and what was `taken` then
   * @returns undefined if it was refused already since then: what was on its way together counts once
   */
  refused(
    deviceId: number,
    now: number,
    message: { sentAt: number; taken: number },
    retryAfterMs: number | undefined,
  ): Wait | undefined {
    const known = this.#waiting.get(deviceId);
    if (known !== undefined && known.since >= message.sentAt) return undefined;
    const proven = this.#othersServed(deviceId, this.#refusedAt.get(deviceId) ?? message.taken);
    this.#refusedAt.delete(deviceId);
    this.#refusedAt.set(deviceId, this.#taken);
    if (this.#refusedAt.size > REMEMBERED) this.#refusedAt.delete(this.#refusedAt.keys().next().value!);
    const before = known?.refusals ?? 0;
    const refusals = proven ? before + 1 : Math.max(before, Math.min(before + 1, UNPROVEN_MAX));
    const backoff = Math.min(PUSH_WAIT_MAX_MS, WAIT_MS * 2 ** Math.min(refusals - 1, 30)) * (0.5 + Math.random() / 2);
    const waitMs = Math.min(PUSH_WAIT_MAX_MS, Math.max(backoff, retryAfterMs ?? 0));
    this.#remember(deviceId, { refusals, since: now, until: now + waitMs });
    return { waitMs, refusals, proven, fresh: before === 0 };
  }

  #othersServed(deviceId: number, since: number): boolean {
    const { number } = this.#last.deviceId === deviceId ? this.#lastOther : this.#last;
    return number > since;
  }

  #remember(deviceId: number, waiting: Waiting): void {
    this.#waiting.delete(deviceId);
    this.#waiting.set(deviceId, waiting);
    if (this.#waiting.size > REMEMBERED) this.#waiting.delete(this.#waiting.keys().next().value!);
  }
}

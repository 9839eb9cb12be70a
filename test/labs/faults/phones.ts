import { createHash } from 'node:crypto';
import type { Fcm } from '../../fakes/fcm/client.js';
import type { Callers } from './callers.js';
import type { Ledger } from './ledger.js';

/** Nobody reads for these, so that each of their alerts has to be pushed. */
const QUIET = ['quiet-1', 'quiet-2', 'quiet-3', 'quiet-4'];
/** They get all that is for everybody, several alerts a second. */
const BUSY = ['quiet-operation-1', 'quiet-operation-2'];
/** They read and delete what they have. */
const READERS = ['solo-1', 'solo-2', 'solo-3', 'solo-4'];
const PLATFORMS = ['DEVICE_PLATFORM_ANDROID', 'DEVICE_PLATFORM_IOS', 'DEVICE_PLATFORM_WEB'] as const;

/** A request to FCM for one alert. */
export interface Pushed {
  readonly alertId: number;
  readonly at: number;
  readonly accepted: boolean;
}

/** How long an alert took from its acknowledgement to a phone. */
export interface Taken {
  readonly userId: string;
  readonly alertId: number;
  readonly ms: number;
}

/** People with a phone each, and what FCM got for them. */
export class Phones {
  readonly users = [...QUIET, ...BUSY, ...READERS];
  /** Those whose phones FCM refused for a while, and how many dead letters may come of it. */
  readonly hopeless: { readonly userId: string; readonly deadLettersMax: number }[] = [];

  constructor(
    private readonly fcm: Fcm,
    private readonly ledger: Ledger,
  ) {}

  /** Before there is an alert: a device gets what comes after it was registered. */
  async register(callers: Callers): Promise<void> {
    for (const [index, userId] of this.users.entries()) {
      const device = { userId, token: tokenOf(userId), platform: PLATFORMS[index % PLATFORMS.length]! };
      await callers.call('RegisterDevice', (client, timeoutMs) => client.registerDevice(device, { timeoutMs }));
    }
  }

  /** Whose phone may be made hopeless: only with many alerts would the dead letters of a refusal be many. */
  get busy(): readonly string[] {
    return BUSY;
  }

  token(userId: string): string {
    return tokenOf(userId);
  }

  /** What FCM was asked for this user's phone, in order; dismissals are left out. */
  async pushed(userId: string): Promise<Pushed[]> {
    return (await this.fcm.received(tokenOf(userId))).flatMap(({ at, accepted, collapse }) => {
      const alertId = Number(/^alert-(\d+)$/.exec(collapse.collapseKey ?? '')?.[1] ?? NaN);
      return Number.isNaN(alertId) ? [] : [{ alertId, at, accepted }];
    });
  }

  /**
   * How long each CRITICAL alert took that was acknowledged between these times, in milliseconds, to the phones of
   * those who do not read; one that is not pushed counts as infinite.
   */
  async taken(from: number, to: number): Promise<Taken[]> {
    const taken: Taken[] = [];
    for (const userId of QUIET) {
      const times = new Map<number, number>();
      for (const { alertId, at, accepted } of await this.pushed(userId))
        if (accepted && !times.has(alertId)) times.set(alertId, at);
      for (const alert of this.ledger.list) {
        const { alertId, acknowledgedAt, must, isCritical } = alert;
        if (!isCritical || !must.has(userId) || acknowledgedAt < from || acknowledgedAt >= to) continue;
        if (this.ledger.mayBeGone(alert)) continue;
        taken.push({ userId, alertId, ms: (times.get(alertId) ?? Infinity) - acknowledgedAt });
      }
    }
    return taken;
  }
}

/** Of a form that FCM might have given out. */
function tokenOf(userId: string): string {
  return createHash('sha256').update(userId).digest('hex');
}

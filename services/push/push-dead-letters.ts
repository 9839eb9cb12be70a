import { createHash } from 'node:crypto';
import type { Events } from '../events/events.js';
import { inboxChangedRecord } from '../events/records.js';
import { DeadLetters } from '../lib/kafka/dead-letters.js';
import { withTimeout } from '../lib/retry.js';
import { TRACEPARENT } from '../lib/telemetry/names.js';
import { wallClock } from '../lib/wall-clock.js';
import { aboutAlert } from '../runtime/describe-records.js';
import type { Publishing, RuntimeParts } from '../runtime/runtime.js';
import { NO_PARTITION, rememberDeadLetter } from '../store/dead-letters.js';
import { keepDeadLetter } from '../store/kept-dead-letters.js';
import type { ClaimedPush } from '../store/pushes.js';
import type { FcmError } from './fcm.js';

/** A record that Kafka takes later than this may be there twice: the push is tried again meanwhile. */
const PATIENCE_MS = 10_000;

/** Puts pushes that cannot be sent among the dead letters, each as the inbox change that it came from. */
export class PushDeadLetters {
  readonly #events: Events;
  readonly #deadLetters: DeadLetters;

  constructor(
    private readonly deps: RuntimeParts<'database' | 'logger' | 'metrics' | 'tracing'>,
    { events, producer }: Publishing,
    group: string,
  ) {
    const { database, logger, metrics, tracing } = deps;
    this.#events = events;
    this.#deadLetters = new DeadLetters({
      producer,
      group,
      logger,
      metrics,
      tracing,
      identify: ({ value }) => aboutAlert(events.inboxChanged.decodeKnown(value)?.changes[0]?.alertId),
      // Without the alert: it is in the inbox, so there is nothing that reconciliation would have to leave alone.
      remember: ({ topic, partition, offset, key, rawKey, value }, { error }) =>
        rememberDeadLetter(
          database,
          { topic, partition, offset, alertId: undefined, userId: key ?? undefined, reason: error.message },
          { key: rawKey, value },
        ),
      keep: (record, letter, waitsFor) => keepDeadLetter(database, record, letter, waitsFor),
    });
  }

  /** @returns whether it is there */
  async send(claim: ClaimedPush, error: FcmError): Promise<boolean> {
    const { deviceId, attempts, userId } = claim;
    const { topic, value } = this.#record(claim);
    const timestamp = wallClock();
    const origin = { topic, partition: NO_PARTITION, offset: deadLetterNumber(claim), timestamp };
    const reason = {
      errorClass: error.failure === 'rejected' ? ('poison' as const) : ('exhausted' as const),
      error: new Error(`push to device ${deviceId}: ${error.code}: ${error.message}`),
      attempts,
      firstFailureAt: timestamp,
      lastFailureAt: timestamp,
      why: 'refused_by_fcm',
    };
    // A record of inbox-change-topic has a traceparent for each alert in it; a dead letter is about one.
    const { traceparent } = claim.alert ?? {};
    const headers = traceparent ? [{ [TRACEPARENT]: traceparent }] : [];
    const record = { ...origin, key: userId, rawKey: Buffer.from(userId), value: value as Buffer, headers };
    try {
      await withTimeout(this.#deadLetters.send(record, reason), PATIENCE_MS, 'putting a push among the dead letters');
      return true;
    } catch (failure) {
      this.deps.logger.warn({ err: failure }, 'a push could not be put among the dead letters; trying again');
      return false;
    }
  }

  #record({ userId, alertId, entry, unreadCount, alert }: ClaimedPush) {
    const { sequence, isRead } = entry!;
    const traceparent = alert?.traceparent ?? '';
    const changes = [{ sequence, alertId, type: 'CREATED' as const, isRead, traceparent }];
    // A push does not know of which epoch its number is: whoever reads the letter takes it as it is.
    return inboxChangedRecord(this.#events, { userId, lastSequence: sequence, unreadCount, changes, epoch: 0 });
  }
}

/** Stands for the offset in the dead letter's name: the same push has the same, so that it is listed once. */
function deadLetterNumber({ deviceId, alertId }: ClaimedPush): number {
  return createHash('sha256').update(`${deviceId}/${alertId}`).digest().readUIntBE(0, 6);
}

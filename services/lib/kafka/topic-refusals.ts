import { RdKafka } from '@confluentinc/kafka-javascript';
import { RECORD_BYTES } from './record-bytes.js';

const { ERRORS } = RdKafka.CODES;
const IN_SYNC =
  'fewer replicas are in sync than its min.insync.replicas, which must not be above its replication factor';

/**
 * What a broker's refusal says of the settings of a topic. It cannot be asked for them: the client has no
 * describeConfigs.
 */
const SETTINGS: ReadonlyMap<number, string> = new Map([
  [
    ERRORS.ERR_MSG_SIZE_TOO_LARGE,
    `its max.message.bytes is below ${RECORD_BYTES.work}, of a dead-letter topic ${RECORD_BYTES.deadLetter}`,
  ],
  // Of a record without a key in a compacted topic; and whatever else a broker, or a plug-in of it, finds wrong with a
  // record.
  [
    ERRORS.ERR_INVALID_RECORD,
    'the broker finds records invalid: its cleanup.policy must be delete, and the broker must not check schemas',
  ],
  [ERRORS.ERR_NOT_ENOUGH_REPLICAS, IN_SYNC],
  [ERRORS.ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, IN_SYNC],
  [
    ERRORS.ERR_TOPIC_AUTHORIZATION_FAILED,
    'this role has no right to write to it (deploy/kafka/create-acls.sh gives it)',
  ],
]);

/** @returns what is likely wrong with the topic; undefined: the error says nothing of it */
export function likelyCause(error: unknown): string | undefined {
  return SETTINGS.get((error as { code?: number } | null | undefined)?.code ?? 0);
}

/**
 * What waits is tried again every 5 minutes at least; what is refused no more, and is sent no more, is forgotten after
 * this.
 */
const FORGET_MS = 10 * 60_000;

/** Topics that refuse records for how they are set, until they take one again. Times are of performance.now(). */
export class TopicRefusals {
  readonly #refused = new Map<string, { readonly cause: string; readonly at: number }>();

  /** @param error of a record of the topic; none: it was taken */
  note(topic: string, error: unknown, now = performance.now()): void {
    if (error === null || error === undefined) {
      if (this.#refused.size > 0) this.#refused.delete(topic);
      return;
    }
    const cause = likelyCause(error);
    if (cause !== undefined) this.#refused.set(topic, { cause, at: now });
  }

  /** What is likely wrong, each with its topic. */
  causes(now = performance.now()): string[] {
    return [...this.#refused]
      .filter(([, { at }]) => now - at < FORGET_MS)
      .map(([topic, { cause }]) => `${topic}: ${cause}`);
  }
}

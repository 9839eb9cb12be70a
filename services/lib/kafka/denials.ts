import { RdKafka } from '@confluentinc/kafka-javascript';
import type { Logger } from '../logging.js';

const { ERR_TOPIC_AUTHORIZATION_FAILED: OF_TOPIC, ERR_GROUP_AUTHORIZATION_FAILED: OF_GROUP } = RdKafka.CODES.ERRORS;

/** Brokers learn of a right one after the other: what one tells counts so long after another has denied. */
const SETTLED_MS = 3000;

/** Brokers let us in, and let us not do what is asked for. */
export class KafkaDenial extends Error {
  override readonly name = 'KafkaDenial';
}

/** What a consumer is denied, until it reads, may read or has its place in the group: librdkafka says it once. */
export class Denials {
  #reason: string | undefined;
  #deniedAt = -Infinity;
  #isOfGroup = false;

  constructor(
    private readonly principal: () => string,
    private readonly groupId: string,
    private readonly topics: () => readonly string[],
    private readonly logger: Logger,
  ) {}

  /** @param error whatever a client reports */
  readonly note = (error: unknown): void => {
    const { code } = Object(error) as { code?: number };
    const what = code === OF_GROUP ? `join the group ${this.groupId}` : `Read ${this.topics().join(' or ')}`;
    if (code !== OF_GROUP && code !== OF_TOPIC) return;
    this.#deniedAt = performance.now();
    this.#isOfGroup = code === OF_GROUP;
    const reason = `${this.principal()} has no right to ${what}`;
    if (reason === this.#reason) return;
    this.#reason = reason;
    this.logger.error({ reason }, 'a right is missing; deploy/kafka/create-acls.sh gives it');
  };

  /** It reads, or has joined. */
  clear(): void {
    this.#reason = undefined;
  }

  /**
   * Brokers tell that its topics may be read: where nothing is written, no record says it.
   * @param askedAt when they were asked, by performance.now()
   */
  noteReadable(askedAt: number): void {
    if (!this.#isOfGroup && askedAt >= this.#deniedAt + SETTLED_MS) this.clear();
  }

  get reason(): string | undefined {
    return this.#reason;
  }
}

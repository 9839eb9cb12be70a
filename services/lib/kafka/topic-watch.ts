import { RdKafka } from '@confluentinc/kafka-javascript';
import type { Logger } from '../logging.js';
import { withTimeout } from '../retry.js';
import { UnderWay } from '../under-way.js';
import { adminSettings, type Brokers, type KafkaConfig } from './client-config.js';
import { principalOf } from './security-settings.js';

const REQUEST_MS = 3000;
/** As long as a look may take whose request was not answered. */
const CLOSE_MS = 3500;
/** So many failed looks in a row may be the client's: after an outage one may find no broker again (see Producer). */
const FAILED_LOOKS = 4;
const { ERR_UNKNOWN_TOPIC_OR_PART: UNKNOWN_TOPIC, ERR_TOPIC_AUTHORIZATION_FAILED: DENIED } = RdKafka.CODES.ERRORS;

/** By their numbers in Kafka's protocol; the client's types lack them. */
const OPERATIONS = { Read: 3, Write: 4, Describe: 8 } as const;

export interface TopicNeed {
  readonly topic: string;
  readonly operation: keyof typeof OPERATIONS;
}

type Admin = ReturnType<typeof RdKafka.AdminClient.create>;
type Answer = Parameters<NonNullable<Parameters<Admin['describeTopics']>[2]>>[1][number];

interface Described {
  readonly name: string;
  /** Undefined: we may not describe it, whether it exists or not. */
  readonly id: string | undefined;
  /** What we may do with it; undefined: that is not told. */
  readonly operations: readonly number[] | undefined;
}

/**
 * Notices by their ids that topics were recreated, as after the loss of a cluster. librdkafka compares leader epochs,
 * which begin at 0 again: without this some partitions stood still for minutes.
 */
export class TopicWatch {
  readonly #ids = new Map<string, string>();
  readonly #complained = new Set<string>();
  #missing: readonly string[] = [];
  #denied: readonly string[] = [];
  #described: readonly Described[] = [];
  #admin: Admin | undefined;
  #failedLooks = 0;
  #asking = false;
  readonly #looks = new UnderWay();
  #awaitsToken = false;

  constructor(
    private readonly brokers: Brokers,
    private readonly config: KafkaConfig,
    private readonly logger: Logger,
    private readonly clientId: string,
    private readonly topics: readonly string[],
    /** What we need to do with which topic. */
    private readonly needs: readonly TopicNeed[] = [],
  ) {}

  /**
   * The topics whose id is another one than at the last look.
   * @throws if no broker answers; a topic that does not exist at the moment keeps its id
   */
  look(): Promise<string[]> {
    return this.#looks.track(this.#look());
  }

  async #look(): Promise<string[]> {
    const remade: string[] = [];
    const described = await this.#describe().catch((error: unknown) => {
      this.#failedLooks += 1;
      // While it is being asked it is not let go: that would wait for the answer, and nothing else would run.
      if (this.#failedLooks >= FAILED_LOOKS && !this.#asking) {
        this.#failedLooks = 0;
        this.#letGo();
      }
      throw error;
    });
    this.#failedLooks = 0;
    this.#noteMissing(this.topics.filter((topic) => !described.some(({ name }) => name === topic)));
    this.#noteDenied(described);
    this.#described = described;
    for (const { name, id } of described) {
      if (id === undefined) continue;
      const before = this.#ids.get(name);
      this.#ids.set(name, id);
      if (before !== undefined && before !== id) remade.push(name);
    }
    return remade;
  }

  /** Topics that did not exist at the last look. */
  get missing(): readonly string[] {
    return this.#missing;
  }

  /** What we need and may not do, as of the last look. */
  get denied(): readonly string[] {
    return this.#denied;
  }

  /** Whether brokers told at the last look that we may do it. */
  allows(operation: TopicNeed['operation'], topic: string): boolean {
    const described = this.#described.find(({ name }) => name === topic);
    return described?.operations?.includes(OPERATIONS[operation]) ?? false;
  }

  #noteDenied(described: readonly Described[]): void {
    const denied = this.needs
      .filter(({ topic, operation }) => {
        const allowed = described.find(({ name }) => name === topic)?.operations;
        return allowed !== undefined && !allowed.includes(OPERATIONS[operation]);
      })
      .map(({ topic, operation }) => `${principalOf(this.config)} has no right to ${operation} ${topic}`);
    for (const reason of denied)
      if (!this.#denied.includes(reason))
        this.logger.error({ reason }, 'a right is missing; deploy/kafka/create-acls.sh gives it');
    for (const reason of this.#denied)
      if (!denied.includes(reason)) this.logger.info({ reason }, 'the right is there now');
    this.#denied = denied;
  }

  #noteMissing(missing: readonly string[]): void {
    for (const topic of missing) {
      if (this.#missing.includes(topic)) continue;
      this.logger.error({ topic }, 'a topic does not exist; deploy/kafka/create-topics.sh makes it');
    }
    for (const topic of this.#missing)
      if (!missing.includes(topic)) this.logger.info({ topic }, 'the topic exists again');
    this.#missing = missing;
  }

  async #describe(): Promise<Described[]> {
    this.#admin ??= this.#create();
    // Setting a token waits for a request that is under way, on the thread of all: none begins before there is one.
    if (this.#awaitsToken) throw new Error('there is no token for Kafka yet');
    const admin = this.#admin;
    const described = new Promise<Described[]>((resolve, reject) => {
      this.#asking = true;
      admin.describeTopics(
        [...this.topics],
        { timeout: REQUEST_MS, includeAuthorizedOperations: true },
        (error, topics) => {
          this.#asking = false;
          if (error) return reject(error);
          for (const topic of topics) this.#noteError(topic);
          const found = topics.filter(({ error: problem, partitions }) =>
            problem === undefined ? partitions.length > 0 : problem.code === DENIED,
          );
          resolve(found.map(toDescribed));
        },
      );
    });
    return withTimeout(described, 2 * REQUEST_MS, 'describing topics');
  }

  #create(): Admin {
    const note = (error: unknown) => this.logger.debug({ err: error }, 'the Kafka admin client reports an error');
    const settings = adminSettings(this.brokers, this.config, this.clientId, this.logger);
    const { oauthbearer_token_refresh_cb: read } = settings;
    if (typeof read === 'function') {
      this.#awaitsToken = true;
      settings['oauthbearer_token_refresh_cb'] = async () => {
        this.#awaitsToken = true;
        const token = await read();
        // It is set when this has returned.
        setImmediate(() => (this.#awaitsToken = false));
        return token;
      };
    }
    // Its type knows nothing of a function that reads a token; an error of that one is an `error`.
    return RdKafka.AdminClient.create(settings, { 'event.error': note, error: note });
  }

  /** Of what cannot be described nothing is noticed: said once. */
  #noteError({ name, error }: { name: string; error?: { code: number; message: string } }): void {
    if (error === undefined || error.code === UNKNOWN_TOPIC || this.#complained.has(name)) return;
    if (error.code === DENIED && this.needs.some(({ topic }) => topic === name)) return;
    this.#complained.add(name);
    this.logger.warn({ topic: name, reason: error.message }, 'whether a topic was recreated cannot be seen');
  }

  /** A look after it takes a new client. */
  #letGo(): void {
    this.#admin?.disconnect();
    this.#admin = undefined;
  }

  /** To let a client go that is being asked would wait for the answer, and nothing else would run. */
  async close(): Promise<void> {
    await this.#looks.over(CLOSE_MS);
    this.#letGo();
  }
}

function toDescribed({ name, error, topicId, authorizedOperations }: Answer): Described {
  if (error?.code === DENIED) return { name, id: undefined, operations: [] };
  return {
    name,
    operations: authorizedOperations,
    id: `${topicId.mostSignificantBits} ${topicId.leastSignificantBits}`,
  };
}

import type { Events } from '../events/events.js';
import { deadLetterGroup } from '../events/groups.js';
import { Consumer } from '../lib/kafka/consumer.js';
import { deadLetterName, readDeadLetters } from '../lib/kafka/dead-letter-topic.js';
import { dlqTopicOf } from '../lib/kafka/dead-letters.js';
import type { Producer } from '../lib/kafka/producer.js';
import { UnknownTopic } from '../lib/kafka/topic-offsets.js';
import { every } from '../lib/lifecycle.js';
import { withTimeout } from '../lib/retry.js';
import type { RuntimeParts } from '../runtime/runtime.js';
import {
  type DeadLetterPlace,
  deadLettersInTopic,
  type DoubtfulDeadLetter,
  doubtfulDeadLetters,
  loseDeadLetters,
  reopenAlerts,
} from '../store/dead-letters.js';
import {
  type DeadLettersState,
  deadLettersState,
  deferDeadLetters,
  dueDeadLetters,
  type KeptDeadLetter,
  releaseDeadLetters,
  WAITING_BYTES_MAX,
  WAITING_LETTERS_MAX,
} from '../store/kept-dead-letters.js';
import { LOCKS } from '../store/locks.js';
import type { RecipientResolver } from '../store/recipient-resolver.js';

const FORWARD_INTERVAL_MS = 5000;
/** Dead letters that are asked for together, and how long their topics may take. */
const FORWARD_PAGE = 100;
const PATIENCE_MS = 20_000;
/** All of the dead-letter topics is read at this interval. */
const SEARCH_INTERVAL_MS = 600_000;
/** Dead letters that are looked for together. */
const SEARCH_PAGE = 100_000;
/**
 * Dead letters that one search finds lost at most. What they held up may die again, and must have room in PostgreSQL
 * then.
 */
const LOST_MAX = 5000;
/** Alerts whose recipients are looked up together: each may have 100,000. */
const ALERTS = 20;
const CHECK = 'dead letters';

/**
 * Keeps the index of dead letters true: what a topic did not take is brought there once it does, and what a topic does
 * not have any more is forgotten, so that reconciliation delivers what it held.
 */
export class DeadLetterKeeper {
  #state: DeadLettersState = { alerts: 0, waiting: 0, bytes: 0, waitsFor: undefined };

  constructor(
    private readonly deps: RuntimeParts<
      'backends' | 'bulkDatabase' | 'config' | 'jobs' | 'logger' | 'metrics' | 'role' | 'show'
    >,
    private readonly resolver: Pick<RecipientResolver, 'recipientsOf'>,
  ) {
    const { metrics } = deps;
    metrics.gauge(
      'ssom.dead_letters.alerts',
      'Alerts that are not complete since dead letters hold them up; counted up to 10,000.',
      () => this.#state.alerts,
    );
    metrics.gauge(
      'ssom.dead_letters.waiting',
      'Dead letters that wait in PostgreSQL, as their topics do not take them.',
      () => this.#state.waiting,
    );
    metrics.queue('dead_letters', () => this.#state.waiting, WAITING_LETTERS_MAX);
    metrics.queue('dead_letter_bytes', () => this.#state.bytes, WAITING_BYTES_MAX);
  }

  async run(producer: Producer, events: Events, signal: AbortSignal): Promise<void> {
    const { jobs, logger } = this.deps;
    await Promise.all([
      every(
        FORWARD_INTERVAL_MS,
        signal,
        () => this.#look(),
        (error) => logger.debug({ err: error }, 'the dead letters could not be counted'),
      ),
      jobs.every('dead_letters', FORWARD_INTERVAL_MS, signal, async () => {
        if (this.#state.waiting > 0) await this.forward(producer, signal);
      }),
      jobs.every('dead_letter_search', SEARCH_INTERVAL_MS, signal, () => this.search(events, signal)),
    ]);
  }

  async #look(): Promise<void> {
    const before = this.#state.waiting;
    this.#state = await deadLettersState(this.deps.bulkDatabase);
    const { waiting, waitsFor } = this.#state;
    if (before + waiting === 0) return;
    const reason =
      waitsFor === undefined
        ? 'all in their topics'
        : `${waiting} wait in PostgreSQL; ${dlqTopicOf(waitsFor.topic)} does not take them: ${waitsFor.reason}`;
    this.deps.show(CHECK, waiting === 0, reason);
  }

  /** Brings what waits to its topics, if no other instance is at it. */
  async forward(producer: Producer, until: AbortSignal): Promise<void> {
    const { bulkDatabase: database, logger } = this.deps;
    await database.withAdvisoryLock(
      LOCKS.forwardDeadLetters,
      async (signal) => {
        for (let page = FORWARD_PAGE; page === FORWARD_PAGE && !signal.aborted;) {
          const letters = await dueDeadLetters(database, FORWARD_PAGE);
          page = letters.length;
          if (page === 0) return;
          const refused: (DeadLetterPlace & { waitsFor: string })[] = [];
          const taken: KeptDeadLetter[] = [];
          // Each alone, so that one that is too large keeps no other one.
          const outcomes = await Promise.allSettled(letters.map((letter) => publish(producer, letter)));
          for (const [index, outcome] of outcomes.entries()) {
            const letter = letters[index]!;
            if (outcome.status === 'fulfilled') taken.push(letter);
            else refused.push({ ...letter, waitsFor: (outcome.reason as Error).message });
          }
          if (taken.length > 0) await releaseDeadLetters(database, taken);
          if (refused.length > 0) await deferDeadLetters(database, refused);
          if (taken.length > 0)
            logger.info({ letters: taken.length }, 'dead letters that waited in PostgreSQL are in their topics now');
          const [first] = refused;
          if (first !== undefined)
            logger.error(
              { letters: refused.length, topic: dlqTopicOf(first.topic), reason: first.waitsFor },
              'dead letters wait in PostgreSQL, as their topic does not take them',
            );
        }
      },
      until,
    );
  }

  /**
   * Forgets dead letters that are in their topics no more, and reopens alerts that were called complete in spite of
   * theirs; if no other instance is at it.
   */
  async search(events: Events, signal: AbortSignal): Promise<void> {
    await this.deps.bulkDatabase.withAdvisoryLock(LOCKS.searchDeadLetters, async () => {
      await this.#reopen(signal);
      await this.#forgetLost(events, signal);
    });
  }

  async #reopen(signal: AbortSignal): Promise<void> {
    let after: DeadLetterPlace | undefined = { topic: '', partition: 0, offset: 0 };
    while (after !== undefined && !signal.aborted) {
      const { last, letters } = await doubtfulDeadLetters(this.deps.bulkDatabase, after);
      after = last;
      const alertIds = [...new Set(letters.map(({ alertId }) => alertId))];
      for (let from = 0; from < alertIds.length && !signal.aborted; from += ALERTS)
        await this.#reopenHeld(alertIds.slice(from, from + ALERTS), letters);
    }
  }

  /**
   * A dead letter may name somebody whom the alert is not for: nothing is held up by that, and it would be reopened for
   * ever.
   */
  async #reopenHeld(alertIds: readonly number[], letters: readonly DoubtfulDeadLetter[]): Promise<void> {
    const recipients = await this.resolver.recipientsOf(alertIds);
    const held = alertIds.filter((alertId) => {
      const users = new Set(letters.filter((letter) => letter.alertId === alertId).map(({ userId }) => userId));
      return recipients.get(alertId)?.some((userId) => users.has(userId));
    });
    if (held.length > 0) await reopenAlerts(this.deps.bulkDatabase, held);
  }

  async #forgetLost(events: Events, signal: AbortSignal): Promise<void> {
    const { bulkDatabase: database, logger } = this.deps;
    let room = Math.min(LOST_MAX, WAITING_LETTERS_MAX - (await deadLettersState(database)).waiting);
    for (const topic of Object.values(events.topics)) {
      let after = { partition: -2, offset: -1 };
      for (let page = SEARCH_PAGE; page === SEARCH_PAGE && room > 0 && !signal.aborted;) {
        const letters = await deadLettersInTopic(database, topic, after, SEARCH_PAGE);
        page = letters.length;
        if (page === 0) break;
        after = letters.at(-1)!;
        const lost = (await this.#missingIn(topic, letters, signal)).slice(0, room);
        if (lost.length === 0) continue;
        await loseDeadLetters(database, lost);
        room -= lost.length;
        logger.warn(
          { topic: dlqTopicOf(topic), letters: lost.length },
          'dead letters are in their topic no more; what they held up is delivered again',
        );
      }
    }
  }

  /**
   * Those of the dead letters that their topic does not have. What a topic has that is not there is known when it is
   * back.
   */
  async #missingIn(
    topic: string,
    letters: readonly DeadLetterPlace[],
    signal: AbortSignal,
  ): Promise<DeadLetterPlace[]> {
    const { backends, config, logger, role } = this.deps;
    const byName = new Map(letters.map((letter) => [deadLetterName(letter), letter]));
    const observer = await Consumer.observe(backends.brokers, config, logger, {
      clientId: `ssom-${role}-dead-letters`,
      groupId: deadLetterGroup(config),
    });
    try {
      for await (const letter of readDeadLetters(observer, topic)) {
        byName.delete(deadLetterName(letter));
        // A search that is broken off has not seen all.
        if (signal.aborted) return [];
      }
    } catch (error) {
      if (!(error instanceof UnknownTopic)) throw error;
      logger.warn({ err: error, letters: letters.length }, 'whether dead letters are lost is not known');
      return [];
    } finally {
      await observer.close();
    }
    return [...byName.values()];
  }
}

async function publish(producer: Producer, { topic, key, value, headers }: KeptDeadLetter): Promise<void> {
  const dlq = dlqTopicOf(topic);
  await withTimeout(producer.publish([{ topic: dlq, key, value, headers }]), PATIENCE_MS, `publishing to ${dlq}`);
}

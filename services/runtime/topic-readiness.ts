import { isPrincipal, rightsOf } from '../events/rights.js';
import type { Config } from '../lib/config/load.js';
import type { Brokers } from '../lib/kafka/client-config.js';
import type { Consumer } from '../lib/kafka/consumer.js';
import type { Producer } from '../lib/kafka/producer.js';
import { type TopicNeed, TopicWatch } from '../lib/kafka/topic-watch.js';
import { every } from '../lib/lifecycle.js';
import type { Logger } from '../lib/logging.js';
import type { RoleReadiness } from './readiness.js';

interface TopicReadinessDeps {
  readonly config: Config;
  readonly role: string;
  readonly brokers: Brokers;
  readonly logger: Logger;
  readonly readiness: RoleReadiness;
  /** Those that there are at the time. */
  readonly clients: { readonly producers: readonly Producer[]; readonly consumers: readonly Consumer[] };
}

/** The name under which /readyz shows whether the topics exist. */
const TOPICS_CHECK = 'topics';

/**
 * Shows whether a role's topics exist and may be used, those of dead letters too. Replaces all clients at once when
 * topics were recreated: each of them would find out by itself, one hop after the other.
 */
export function watchTopics(deps: TopicReadinessDeps, intervalMs: number, signal: AbortSignal): TopicWatch {
  const { config, role, brokers, logger, readiness, clients } = deps;
  const needs = needsOf(role, config);
  const own = [config.topicAlertCreated, config.topicUserAlert, config.topicInboxChange];
  const topics = [...new Set([...own, ...needs.map(({ topic }) => topic)])];
  const watch = new TopicWatch(brokers, config, logger, `ssom-${role}-topics`, topics, needs);
  void every(
    intervalMs,
    signal,
    async () => {
      const askedAt = performance.now();
      const remade = await watch.look();
      const { producers, consumers } = clients;
      for (const consumer of consumers) consumer.noteReadable((topic) => watch.allows('Read', topic), askedAt);
      const missing = watch.missing.map((topic) => `${topic} is not there`);
      const refused = [...producers, ...consumers].flatMap(({ refusals }) => refusals);
      const problems = [...new Set([...missing, ...watch.denied, ...refused])];
      // Each role needs some of them, so that no one decides alone whether it is ready.
      if (problems.length > 0) readiness.show(TOPICS_CHECK, false, problems.join('; '));
      else readiness.show(TOPICS_CHECK, true, topics.join(', '));
      if (remade.length === 0) return;
      const reason = `recreated: ${remade.join(', ')}`;
      // Not awaited: one that cannot be replaced yet keeps nobody from noticing the next topic.
      for (const producer of producers) void producer.renew(new Error(reason));
      for (const consumer of consumers) if (consumer.reads(remade)) void consumer.renew(reason);
    },
    (error) => logger.debug({ err: error }, 'topics could not be looked at'),
  );
  return watch;
}

/** What a role does with topics. */
function needsOf(role: string, config: Config): TopicNeed[] {
  if (!isPrincipal(role)) return [];
  return rightsOf(role, config).flatMap(({ resource, name: topic, operation }) =>
    resource === 'topic' && (operation === 'Read' || operation === 'Write' || operation === 'Describe')
      ? [{ topic, operation }]
      : [],
  );
}

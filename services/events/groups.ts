import type { RoleName } from '../domain/role-names.js';
import type { Config } from '../lib/config/load.js';
import type { TopicConfig } from './schemas/files.js';

/** Who reads which topic as members of a group, whose name is KAFKA_CONSUMER_GROUP and this ending. */
export const GROUPS = {
  fanout: { ending: '-fanout', topic: 'topicAlertCreated' },
  delivery: { ending: '', topic: 'topicUserAlert' },
  push: { ending: '-push', topic: 'topicInboxChange' },
} as const satisfies Partial<Record<RoleName, { ending: string; topic: keyof TopicConfig }>>;
export type GroupRole = keyof typeof GROUPS;
export const GROUP_ROLES = Object.keys(GROUPS) as readonly GroupRole[];

/** Of gateways: each reads everything, so they join no group. */
const BROADCAST = '-broadcast';

/** As which `ssom-alert dlq` reads; it joins no group, and brokers ask for its right all the same. */
export const OPERATOR_GROUP = 'ssom-alert-dlq';

type GroupConfig = Pick<Config, 'consumerGroup'>;

/** A role's group, and the topic that it reads. */
export function groupOf(role: GroupRole, config: GroupConfig & TopicConfig): { group: string; topic: string } {
  const { ending, topic } = GROUPS[role];
  return { group: config.consumerGroup + ending, topic: config[topic] };
}

/** What gateways call themselves towards Kafka, as none of them joins a group. */
export function broadcastGroup({ consumerGroup }: GroupConfig): string {
  return consumerGroup + BROADCAST;
}

/** As which the dead letters are read through, likewise outside any group. */
export function deadLetterGroup({ consumerGroup }: GroupConfig): string {
  return `${consumerGroup}-dead-letters`;
}

/** Whose group it is, by the ending of its name; delivery's has none. */
export function roleOfGroup(group: string): RoleName {
  if (group.endsWith(BROADCAST)) return 'stream-gateway';
  return GROUP_ROLES.find((role) => GROUPS[role].ending !== '' && group.endsWith(GROUPS[role].ending)) ?? 'delivery';
}

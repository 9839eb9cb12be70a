import { PROCESS_NAMES, type ProcessName, type RoleName, STANDALONE } from '../domain/role-names.js';
import type { Config } from '../lib/config/load.js';
import { dlqTopicOf } from '../lib/kafka/dead-letters.js';
import { broadcastGroup, deadLetterGroup, GROUP_ROLES, groupOf, type GroupRole, OPERATOR_GROUP } from './groups.js';
import { TOPIC_KEYS, type TopicConfig, type TopicKey } from './schemas/files.js';

/**
 * What each principal may do in Kafka, and nothing else: `ssom-alert kafka acls`, the table in SECURITY.md and what a
 * role says that it lacks are made from it. Who may read or write a topic may describe it, too. We use no transactional
 * ids.
 */

type Topic = TopicKey;
type Place = Topic | `${Topic}-dlq`;
type Group = GroupRole | 'broadcast' | 'deadLetters' | 'operator';

interface Grant {
  readonly read?: readonly Place[];
  readonly write?: readonly Place[];
  readonly describe?: readonly Place[];
  /** Where they are missing; with the settings that they have. */
  readonly create?: readonly Place[];
  readonly readGroups?: readonly Group[];
  readonly describeGroups?: readonly Group[];
}

const TOPICS = TOPIC_KEYS;
const DEAD = TOPICS.map((topic) => `${topic}-dlq` as const);
/** Whether they are there is looked at by every role. */
const SEES = { describe: TOPICS };

const BY_ROLE = {
  // Relay, marks, and how far every group is behind.
  'alert-api': { ...SEES, write: ['topicAlertCreated', 'topicInboxChange'], describeGroups: GROUP_ROLES },
  // With the jobs of maintenance: the dead letters of all topics.
  fanout: {
    ...SEES,
    read: ['topicAlertCreated', ...DEAD],
    write: ['topicUserAlert', ...DEAD],
    readGroups: ['fanout'],
    describeGroups: ['deadLetters'],
  },
  delivery: {
    ...SEES,
    read: ['topicUserAlert'],
    write: ['topicInboxChange', 'topicUserAlert-dlq'],
    readGroups: ['delivery'],
  },
  push: { ...SEES, read: ['topicInboxChange'], write: ['topicInboxChange-dlq'], readGroups: ['push'] },
  'stream-gateway': {
    ...SEES,
    read: ['topicInboxChange', 'topicAlertCreated'],
    describeGroups: ['broadcast'],
  },
} as const satisfies Record<RoleName, Grant>;

/** Those who run something by hand or at a deploy. */
const BY_HAND = {
  /** create-topics.sh. */
  migrate: { describe: [...TOPICS, ...DEAD], create: [...TOPICS, ...DEAD] },
  /** `ssom-alert dlq`, and kafka-consumer-groups.sh: the lag, a reset of offsets. */
  operator: { read: [...TOPICS, ...DEAD], write: TOPICS, readGroups: GROUP_ROLES, describeGroups: ['operator'] },
} as const satisfies Record<string, Grant>;

export type Principal = ProcessName | keyof typeof BY_HAND;
const GRANTS: Readonly<Record<Exclude<Principal, typeof STANDALONE>, Grant>> = { ...BY_ROLE, ...BY_HAND };
export const PRINCIPALS: readonly Principal[] = [...PROCESS_NAMES, 'migrate', 'operator'];

export type Operation = 'Read' | 'Write' | 'Describe' | 'Create' | 'DescribeConfigs';

/** One ACL. */
export interface Right {
  readonly resource: 'topic' | 'group';
  readonly name: string;
  readonly operation: Operation;
}

type Names = TopicConfig & Pick<Config, 'consumerGroup'>;

/** The ACLs of a principal; what another one of them implies is left out. */
export function rightsOf(principal: Principal, config: Names): Right[] {
  const grants = principal === STANDALONE ? Object.values<Grant>(BY_ROLE) : [GRANTS[principal]];
  const rights = grants.flatMap((grant) => rightsIn(grant, config));
  const isImplied = ({ resource, name, operation }: Right) =>
    operation === 'Describe' &&
    rights.some(
      (right) => right.resource === resource && right.name === name && /^(Read|Write)$/.test(right.operation),
    );
  const kept = rights.filter((right) => !isImplied(right));
  return [...new Map(kept.map((right) => [`${right.resource} ${right.name} ${right.operation}`, right])).values()];
}

function rightsIn(grant: Grant, config: Names): Right[] {
  const topics = (operation: Operation, places: readonly Place[] = []) =>
    places.map((place): Right => ({ resource: 'topic', name: topicAt(place, config), operation }));
  const groups = (operation: Operation, named: readonly Group[] = []) =>
    named.map((group): Right => ({ resource: 'group', name: nameOfGroup(group, config), operation }));
  return [
    ...topics('Read', grant.read),
    ...topics('Write', grant.write),
    ...topics('Describe', grant.describe),
    ...topics('Create', grant.create),
    ...topics('DescribeConfigs', grant.create),
    ...groups('Read', grant.readGroups),
    ...groups('Describe', grant.describeGroups),
  ];
}

function topicAt(place: Place, config: Names): string {
  return place.endsWith('-dlq') ? dlqTopicOf(config[place.slice(0, -4) as Topic]) : config[place as Topic];
}

/** Who reads outside any group gives a name all the same, and brokers ask for the right to describe it. */
function nameOfGroup(group: Group, config: Names): string {
  if (group === 'broadcast') return broadcastGroup(config);
  if (group === 'deadLetters') return deadLetterGroup(config);
  return group === 'operator' ? OPERATOR_GROUP : groupOf(group, config).group;
}

/** What is in the table of a process; of one that is not in it nothing is known. */
export function isPrincipal(name: string): name is Principal {
  return (PRINCIPALS as readonly string[]).includes(name);
}

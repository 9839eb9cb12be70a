import { type RawRecord, readTopic } from '../../support/raw-kafka.js';
import type { World } from './world.js';

export const TOPICS = ['alert-created-topic', 'user-alert-topic', 'inbox-change-topic'] as const;
const READ = ['user-alert-topic', ...TOPICS.map((topic) => `${topic}-dlq`)];

/** What was in Kafka from its start, or its last wipe, to the next one. Times as of Date.now(). */
export interface Life {
  readonly since: number;
  readonly until: number;
  readonly records: (topic: string) => readonly RawRecord[];
}

/** What the topics held, also before they were wiped. */
export class Archive {
  readonly lives: Life[] = [];

  /** Reads the topics as they are, before they go. */
  async add(world: World, until: number, topics: readonly string[] = READ): Promise<void> {
    const records = new Map<string, RawRecord[]>();
    for (const topic of topics) records.set(topic, (await readTopic(world.kafka.bootstrap, topic)).records);
    this.lives.push({ since: world.wipedAt, until, records: (topic) => records.get(topic) ?? [] });
  }
}

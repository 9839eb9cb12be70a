import assert from 'node:assert/strict';
import test from 'node:test';
import { RdKafka } from '@confluentinc/kafka-javascript';
import { pino } from 'pino';
import { loadConfig } from '../../../../services/lib/config/load.js';
import { TopicWatch } from '../../../../services/lib/kafka/topic-watch.js';

const TOPICS = ['alert-created-topic', 'user-alert-topic'];

test('a topic that does not exist is named, once, and said to be there again', async (t) => {
  const existing = new Map(TOPICS.map((name) => [name, 1n]));
  const describeTopics = (names: string[], _options: object, done: (error: null, topics: object[]) => void) =>
    done(
      null,
      names.map((name) => {
        const id = existing.get(name);
        if (id === undefined) return { name, partitions: [], error: { code: 3, message: 'Unknown topic' } };
        return { name, partitions: [0], topicId: { mostSignificantBits: 0n, leastSignificantBits: id } };
      }),
    );
  t.mock.method(RdKafka.AdminClient, 'create', () => ({ describeTopics, disconnect: () => undefined }) as never);
  const logged: { topic?: string; level: number }[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => void logged.push(JSON.parse(line) as never) });
  const brokers = { bootstrapServers: 'nowhere', inProcess: false };
  const watch = new TopicWatch(brokers, loadConfig({}), logger, 'test', TOPICS);
  const lines = () => logged.splice(0).map(({ topic, level }) => `${level} ${topic}`);
  assert.deepEqual(await watch.look(), []);
  assert.deepEqual([watch.missing, lines()], [[], []]);
  existing.delete('user-alert-topic');
  assert.deepEqual(await watch.look(), []);
  assert.deepEqual([watch.missing, lines()], [['user-alert-topic'], ['50 user-alert-topic']]);
  await watch.look();
  assert.deepEqual([watch.missing, lines()], [['user-alert-topic'], []]);
  existing.set('user-alert-topic', 2n);
  assert.deepEqual(await watch.look(), ['user-alert-topic'], 'recreated');
  assert.deepEqual([watch.missing, lines()], [[], ['30 user-alert-topic']]);
  await watch.close();
});

test('a right that is missing is named, also where not even that the topic exists may be known', async (t) => {
  const [described, hidden] = ['user-alert-topic', 'user-alert-topic-dlq'];
  const topicId = { mostSignificantBits: 0n, leastSignificantBits: 1n };
  const describeTopics = (_names: string[], _options: object, done: (error: null, topics: object[]) => void) =>
    done(null, [
      { name: described, partitions: [0], topicId, authorizedOperations: [3, 8] },
      { name: hidden, partitions: [], error: { code: 29, message: 'Topic authorization failed' } },
    ]);
  t.mock.method(RdKafka.AdminClient, 'create', () => ({ describeTopics, disconnect: () => undefined }) as never);
  const brokers = { bootstrapServers: 'nowhere', inProcess: false };
  const config = loadConfig({
    KAFKA_SECURITY_PROTOCOL: 'SASL_SSL',
    KAFKA_SASL_USERNAME: 'd',
    KAFKA_SASL_PASSWORD: 'p',
  });
  const needs = [
    { topic: described, operation: 'Read' },
    { topic: described, operation: 'Write' },
    { topic: hidden, operation: 'Write' },
  ] as const;
  const watch = new TopicWatch(brokers, config, pino({ level: 'silent' }), 'test', [described, hidden], needs);
  assert.deepEqual(await watch.look(), []);
  assert.deepEqual(watch.missing, []);
  assert.deepEqual(watch.denied, [
    `user d has no right to Write ${described}`,
    `user d has no right to Write ${hidden}`,
  ]);
  await watch.close();
});

test('a client that finds no broker any more is replaced', async (t) => {
  let made = 0;
  const create = () => {
    const isStuck = made++ === 0;
    const describeTopics = (
      names: string[],
      _options: object,
      done: (error: Error | null, topics?: object[]) => void,
    ) =>
      isStuck
        ? done(new Error('Local: Timed out'))
        : done(
            null,
            names.map((name) => ({
              name,
              partitions: [0],
              topicId: { mostSignificantBits: 0n, leastSignificantBits: 1n },
            })),
          );
    return { describeTopics, disconnect: () => undefined } as never;
  };
  t.mock.method(RdKafka.AdminClient, 'create', create);
  const brokers = { bootstrapServers: 'nowhere', inProcess: false };
  const watch = new TopicWatch(brokers, loadConfig({}), pino({ level: 'silent' }), 'test', TOPICS);
  for (let look = 0; look < 4; look += 1) await assert.rejects(watch.look(), /Timed out/);
  assert.deepEqual(await watch.look(), []);
  assert.equal(made, 2);
  await watch.close();
});

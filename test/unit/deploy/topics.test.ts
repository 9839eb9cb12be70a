import assert from 'node:assert/strict';
import test from 'node:test';
import { alertTopics, readDescription, wrongSettings } from '#stack';
import { RECORD_BYTES } from '../../../services/lib/kafka/record-bytes.js';

const topics = new Map(alertTopics().map((topic) => [topic.name, topic]));

/** As kafka-topics.sh --describe of Kafka 4.3 prints it. */
const describe = (name: string, configs: string, replicas = 1) =>
  `Topic: ${name}\tTopicId: w9QfXvMCTPm2wyxhs2WJEg\tPartitionCount: 3\tReplicationFactor: ${replicas}\tConfigs: ${configs}\n` +
  `\tTopic: ${name}\tPartition: 0\tLeader: 1\tReplicas: 1\tIsr: 1\tElr: \tLastKnownElr: \n`;

function wrong(name: string, configs: string, replicas = 1, wantedReplicas = replicas) {
  const found = readDescription(describe(name, configs, replicas)).get(name)!;
  return wrongSettings(topics.get(name)!, found, wantedReplicas).map((text) => text.split(':')[0]);
}

test('what is printed of topics is read: values may have commas, and there may be none', () => {
  const found = readDescription(describe('a', 'cleanup.policy=compact,delete,retention.ms=5') + describe('b', '', 3));
  assert.deepEqual(Object.fromEntries(found), {
    a: { partitions: 3, replicas: 1, config: { 'cleanup.policy': 'compact,delete', 'retention.ms': '5' } },
    b: { partitions: 3, replicas: 3, config: {} },
  });
});

test('each setting that loses or refuses records is named, and those that we make are not', () => {
  for (const { name, config = {} } of topics.values()) {
    const made = Object.entries(config).map(([key, value]) => `${key}=${value}`);
    assert.deepEqual(wrong(name, made.join()), [], name);
    assert.deepEqual(wrong(name, [...made, 'min.insync.replicas=2'].join(), 3), [], name);
  }
  assert.deepEqual(wrong('user-alert-topic', ''), []);
  assert.deepEqual(wrong('user-alert-topic', 'retention.ms=-1'), []);
  assert.deepEqual(wrong('user-alert-topic', 'cleanup.policy=compact'), ['cleanup.policy=compact']);
  assert.deepEqual(wrong('user-alert-topic', 'max.message.bytes=1000,retention.ms=1000'), [
    'max.message.bytes=1000',
    'retention.ms=1000',
  ]);
  assert.deepEqual(wrong('user-alert-topic', 'min.insync.replicas=2'), ['min.insync.replicas=2']);
  assert.deepEqual(wrong('user-alert-topic', '', 3), ['min.insync.replicas=1']);
  assert.deepEqual(wrong('user-alert-topic', 'min.insync.replicas=1', 1, 3), [
    'min.insync.replicas=1',
    'replication factor 1',
  ]);
  // A dead letter of the largest record has its reason as well, and is kept for a month.
  assert.deepEqual(wrong('user-alert-topic-dlq', 'retention.ms=604800000'), [
    'max.message.bytes=1048588',
    'retention.ms=604800000',
  ]);
});

test('the sizes that topics are made with are those that the roles name where a broker refuses a record', () => {
  const sizes = { 'user-alert-topic': RECORD_BYTES.work, 'user-alert-topic-dlq': RECORD_BYTES.deadLetter };
  for (const [name, bytes] of Object.entries(sizes)) {
    assert.deepEqual(wrong(name, `max.message.bytes=${bytes},retention.ms=-1`), []);
    assert.deepEqual(wrong(name, `max.message.bytes=${bytes - 1},retention.ms=-1`), [`max.message.bytes=${bytes - 1}`]);
  }
});

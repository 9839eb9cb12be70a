import assert from 'node:assert/strict';
import test from 'node:test';
import { RdKafka } from '@confluentinc/kafka-javascript';
import { likelyCause, TopicRefusals } from '../../../../services/lib/kafka/topic-refusals.js';

const { ERRORS } = RdKafka.CODES;

test('a topic that refuses records for how it is set is named until it takes one again', () => {
  const refusals = new TopicRefusals();
  refusals.note('a', { code: ERRORS.ERR_MSG_SIZE_TOO_LARGE });
  refusals.note('b', { code: ERRORS.ERR_INVALID_RECORD });
  refusals.note('c', { code: ERRORS.ERR__MSG_TIMED_OUT });
  refusals.note('c', new Error('the Kafka producer is not connected'));
  refusals.note('d', undefined);
  assert.deepEqual(refusals.causes(), [
    'a: its max.message.bytes is below 1048588, of a dead-letter topic 2097152',
    'b: the broker finds records invalid: its cleanup.policy must be delete, and the broker must not check schemas',
  ]);
  refusals.note('a', null);
  assert.deepEqual(
    refusals.causes().map((cause) => cause[0]),
    ['b'],
  );
  assert.deepEqual(refusals.causes(performance.now() + 11 * 60_000), [], 'nothing was sent to it since');
});

test('what a broker says of replicas and rights names them', () => {
  for (const code of [ERRORS.ERR_NOT_ENOUGH_REPLICAS, ERRORS.ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND])
    assert.match(likelyCause({ code })!, /min\.insync\.replicas/);
  assert.match(likelyCause({ code: ERRORS.ERR_TOPIC_AUTHORIZATION_FAILED })!, /no right to write/);
  assert.equal(likelyCause(undefined), undefined);
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { RdKafka } from '@confluentinc/kafka-javascript';
import { Denials } from '../../../../services/lib/kafka/denials.js';
import { silentLogger } from '../../../../services/lib/logging.js';

const { ERR_TOPIC_AUTHORIZATION_FAILED: OF_TOPIC, ERR_GROUP_AUTHORIZATION_FAILED: OF_GROUP } = RdKafka.CODES.ERRORS;

test('what was denied is forgotten when brokers tell later that the topic may be read, and a group only by a join', () => {
  const denials = new Denials(
    () => 'user fanout',
    'ssom-fanout',
    () => ['alert-created-topic'],
    silentLogger(),
  );
  const later = () => performance.now() + 3100;
  denials.note({ code: OF_TOPIC });
  denials.noteReadable(performance.now());
  assert.equal(denials.reason, 'user fanout has no right to Read alert-created-topic', 'asked at the same time');
  denials.noteReadable(later());
  assert.equal(denials.reason, undefined);
  denials.note({ code: OF_GROUP });
  denials.noteReadable(later());
  assert.equal(denials.reason, 'user fanout has no right to join the group ssom-fanout');
  denials.clear();
  assert.equal(denials.reason, undefined);
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { broadcastGroup, GROUP_ROLES, groupOf, roleOfGroup } from '../../../services/events/groups.js';
import { loadConfig } from '../../../services/lib/config/load.js';

test('the role of a group is found by its name, whatever KAFKA_CONSUMER_GROUP is', () => {
  for (const consumerGroup of ['ssom-alert-consumer', 'push', 'a-push', '-fanout', 'x-broadcast']) {
    const config = { ...loadConfig({}), consumerGroup };
    // Delivery's has no ending of its own: it is known if it does not look like another one's.
    for (const role of GROUP_ROLES.filter((each) => each !== 'delivery'))
      assert.equal(roleOfGroup(groupOf(role, config).group), role);
    assert.equal(roleOfGroup(broadcastGroup(config)), 'stream-gateway');
  }
  assert.equal(roleOfGroup('ssom-alert-consumer'), 'delivery');
});

test('no two roles read as one group', () => {
  const config = loadConfig({});
  const groups = GROUP_ROLES.map((role) => groupOf(role, config));
  assert.equal(new Set(groups.map(({ group }) => group)).size, GROUP_ROLES.length);
  assert.deepEqual(
    groups.map(({ topic }) => topic),
    [config.topicAlertCreated, config.topicUserAlert, config.topicInboxChange],
  );
});

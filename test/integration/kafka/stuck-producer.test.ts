import assert from 'node:assert/strict';
import test from 'node:test';
import { RdKafka } from '@confluentinc/kafka-javascript';
import { loadConfig } from '../../../services/lib/config/load.js';
import { startEmbeddedBroker } from '../../../services/lib/kafka/embedded-broker.js';
import { Producer } from '../../../services/lib/kafka/producer.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { defer } from '../../support/defer.js';
import { untilTrue } from '../../support/until-true.js';

type Client = InstanceType<typeof RdKafka.Producer>;

test('a client that finds no broker any more, where a new one does, is replaced', { timeout: 300_000 }, async (t) => {
  const broker = await startEmbeddedBroker(['stuck-topic']);
  defer(t, () => broker.close());
  const config = loadConfig({});
  const producer = await Producer.connect(broker.brokers, config, silentLogger(), { clientId: 'stuck' });
  defer(t, () => producer.close());

  // As after an outage of all brokers: the client lives, its requests find nobody. No proxy tells one client from
  // another.
  const clients: Client[] = [];
  const isStuck = (client: Client) => {
    if (clients.length === 0) clients.push(client);
    return clients[0] === client;
  };
  const { getMetadata, produce } = RdKafka.Producer.prototype;
  t.mock.method(RdKafka.Producer.prototype, 'getMetadata', function (this: Client, ...args: unknown[]) {
    if (!isStuck(this)) return getMetadata.apply(this, args as never) as unknown;
    (args.at(-1) as (error: Error) => void)(new Error('Local: Broker transport failure'));
    return undefined;
  });
  t.mock.method(RdKafka.Producer.prototype, 'produce', function (this: Client, ...args: unknown[]) {
    return isStuck(this) || (produce.apply(this, args as never) as unknown);
  });
  await assert.rejects(producer.probe(), /no Kafka broker answers at .*: Local: Broker transport failure/);
  const lost = producer.publish([{ topic: 'stuck-topic', key: 'k', value: Buffer.from('1') }]);
  await assert.rejects(lost, /no broker has answered this client for 20000 ms, but another/);
  await untilTrue(
    () =>
      producer.probe().then(
        () => true,
        () => false,
      ),
    { timeoutMs: 20_000, what: 'a broker answers' },
  );
  await producer.publish([{ topic: 'stuck-topic', key: 'k', value: Buffer.from('2') }]);
  assert.equal(producer.totals.sent, 1);
});

import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { RdKafka } from '@confluentinc/kafka-javascript';
import { loadConfig } from '../../../services/lib/config/load.js';
import { startEmbeddedBroker } from '../../../services/lib/kafka/embedded-broker.js';
import { Producer } from '../../../services/lib/kafka/producer.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { defer } from '../../support/defer.js';
import { untilTrue } from '../../support/until-true.js';

type Client = InstanceType<typeof RdKafka.Producer>;

const record = (value: string) => [{ topic: 'stuck-topic', key: 'k', value: Buffer.from(value) }];

/**
 * A producer whose client finds no broker from now on, as after an outage of all: the client lives, its requests find
 * nobody. No proxy tells one client from another.
 * @returns whether another client was connected
 */
async function stuckProducer(t: TestContext, until: (anotherCame: boolean) => boolean) {
  const broker = await startEmbeddedBroker(['stuck-topic']);
  defer(t, () => broker.close());
  const producer = await Producer.connect(broker.brokers, loadConfig({}), silentLogger(), { clientId: 'stuck' });
  defer(t, () => producer.close());
  const clients = new Set<Client>();
  const isStuck = (client: Client) => {
    clients.add(client);
    return [...clients][0] === client && !until(clients.size > 1);
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
  const answers = () =>
    producer.probe().then(
      () => true,
      () => false,
    );
  return { producer, answers, clients };
}

test('a client that finds no broker any more, where a new one does, is replaced', { timeout: 300_000 }, async (t) => {
  const { producer, answers } = await stuckProducer(t, () => false);
  const lost = producer.publish(record('1'));
  await assert.rejects(lost, /no broker answers this client, but another/);
  await untilTrue(answers, { what: 'a broker answers' });
  await producer.publish(record('2'));
  assert.equal(producer.totals.sent, 1);
});

test(
  'one that finds them again while a new one is tried, as after an outage, stays',
  { timeout: 300_000 },
  async (t) => {
    const { producer, answers, clients } = await stuckProducer(t, (anotherCame) => anotherCame);
    await untilTrue(() => clients.size > 1, { timeoutMs: 60_000, intervalMs: 500, what: 'another client is tried' });
    await untilTrue(answers, { what: 'a broker answers' });
    const [first] = clients;
    await producer.publish(record('1'));
    assert.equal(first?.isConnected(), true);
    assert.equal(producer.totals.failed, 0);
  },
);

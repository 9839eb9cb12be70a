import { RdKafka } from '@confluentinc/kafka-javascript';
import { wait } from '../retry.js';
import type { Brokers } from './client-config.js';

export interface EmbeddedBroker {
  readonly brokers: Brokers;
  close(): Promise<void>;
}

/**
 * librdkafka's in-process broker on a loopback port, for trying and for tests: real protocol, 4 partitions a topic, at
 * most 5 MB or 100,000 records each. Nothing survives the process; reconciliation covers that.
 */
export async function startEmbeddedBroker(topics: readonly string[]): Promise<EmbeddedBroker> {
  const settings = { 'test.mock.num.brokers': 1, 'bootstrap.servers': 'in-process', dr_cb: true };
  const host = new RdKafka.Producer(settings);
  const metadata = await new Promise<{ brokers: { host: string; port: number }[] }>((resolve, reject) => {
    host.connect({ timeout: 5000 }, (error, data) => (error ? reject(error) : resolve(data)));
  });
  const broker = metadata.brokers[0];
  if (broker === undefined) throw new Error('the in-process Kafka broker named no address');
  host.setPollInBackground(true);
  // It has no admin calls: a topic comes into being with its first record, here an empty one that readers skip.
  let open = topics.length;
  host.on('delivery-report', () => (open -= 1));
  for (const topic of topics) host.produce(topic, 0, null, null);
  for (let tries = 0; open > 0 && tries < 1000; tries += 1) await wait(5);
  if (open > 0) throw new Error('the in-process Kafka broker did not make its topics in 5 s');
  return {
    brokers: { bootstrapServers: `${broker.host}:${broker.port}`, inProcess: true },
    close: () => new Promise((resolve) => host.disconnect(() => resolve())),
  };
}

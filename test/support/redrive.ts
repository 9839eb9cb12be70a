import assert from 'node:assert/strict';
import { main } from '../../services/cli/cli.js';
import { fakeContext } from '../unit/cli/fake-context.js';
import type { TestCluster } from './in-process.js';

/** Sends the dead letters of a topic back, as an operator does. */
export async function redrive({ backends }: TestCluster, topic: string): Promise<void> {
  const environment = {
    DATABASE_URL: backends.databaseUrl,
    KAFKA_BOOTSTRAP_SERVERS: backends.brokers.bootstrapServers,
  };
  const context = fakeContext({ environment });
  assert.equal(await main(['dlq', 'redrive', '--topic', topic, '--yes'], context), 0, context.err());
  assert.match(context.err(), /1 dead letter sent back/);
}

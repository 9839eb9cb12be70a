import assert from 'node:assert/strict';
import test from 'node:test';
import { loadConfig } from '../../../../services/lib/config/load.js';
import { Consumer } from '../../../../services/lib/kafka/consumer.js';
import { GroupLag } from '../../../../services/lib/kafka/group-lag.js';
import { silentLogger } from '../../../../services/lib/logging.js';

const BROKERS = { bootstrapServers: 'nowhere', inProcess: false };
const GROUPS = [{ group: 'g', topic: 't' }];

class Observer {
  isClosed = false;

  constructor(readonly isStuck: boolean) {}

  async partitionsOf(): Promise<number[]> {
    if (this.isStuck) throw new Error('Local: Timed out');
    return [0];
  }

  async committed(): Promise<object[]> {
    return [{ topic: 't', partition: 0, offset: 3 }];
  }

  async watermarks(): Promise<object> {
    return { low: 0, high: 10 };
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

test('a client that finds no broker any more is replaced once another one finds them', async (t) => {
  const made: Observer[] = [];
  let isOutage = false;
  t.mock.method(Consumer, 'observe', async () => {
    if (isOutage) throw new Error('no Kafka broker answered');
    const observer = new Observer(made.length === 0);
    made.push(observer);
    return observer as never;
  });
  const lag = new GroupLag(BROKERS, loadConfig({}), silentLogger(), 'test', GROUPS);
  for (let look = 0; look < 3; look += 1) await assert.rejects(lag.look(), /Timed out/);
  isOutage = true;
  await assert.rejects(lag.look(), /no Kafka broker/);
  assert.equal(made[0]!.isClosed, false, 'the old one stays while none finds a broker');
  isOutage = false;
  for (let look = 0; look < 4; look += 1) await assert.rejects(lag.look(), /Timed out/);
  assert.equal(made[0]!.isClosed, true);
  await lag.look();
  assert.deepEqual(lag.lags, [{ group: 'g', topic: 't', partition: 0, lag: 7 }]);
  await lag.close();
  assert.ok(made.every(({ isClosed }) => isClosed));
});

import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import test from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { RdKafka } from '@confluentinc/kafka-javascript';
import { loadConfig } from '../../../../services/lib/config/load.js';
import { Producer } from '../../../../services/lib/kafka/producer.js';
import { silentLogger } from '../../../../services/lib/logging.js';

type Done = (error?: Error | null) => void;

const REFUSED = { fac: 'FAIL', message: 'SASL authentication error: Authentication failed' };

test('a broker refuses a producer: another takes its place only where none answers the old one, twice', async (t) => {
  const isLeft = async (answers: boolean[]): Promise<boolean[]> => {
    const made: FakeClient[] = [];
    class FakeClient extends EventEmitter {
      isLeft = false;
      constructor() {
        super();
        made.push(this);
      }
      connect = (_options: object, done: Done) => done();
      setPollInBackground = () => undefined;
      getMetadata = (_options: object, done: Done) => done(answers.shift() ? null : new Error('Local: Timed out'));
      disconnect = (done: Done) => {
        this.isLeft = true;
        done();
      };
    }
    const mock = t.mock.method(RdKafka, 'Producer', FakeClient as never);
    const brokers = { bootstrapServers: 'kafka:9092', inProcess: false };
    const options = { clientId: 'test' };
    const producer = await Producer.connect(brokers, loadConfig({ PROFILE: 'dev' }), silentLogger(), options);
    made[0]!.emit('event.log', REFUSED);
    for (let turn = 0; turn < 5; turn += 1) await setImmediate();
    const left = made.map((client) => client.isLeft);
    await producer.close();
    mock.mock.restore();
    return left;
  };
  assert.deepEqual(await isLeft([true]), [false], 'another broker answers');
  assert.deepEqual(await isLeft([false, true]), [false, true], 'it is answered meanwhile');
  assert.deepEqual(await isLeft([false, false]), [true, false], 'a password was replaced');
});

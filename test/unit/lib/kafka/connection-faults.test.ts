import assert from 'node:assert/strict';
import test from 'node:test';
import { loadConfig } from '../../../../services/lib/config/load.js';
import { ConnectionFaults, type KafkaRefusal } from '../../../../services/lib/kafka/connection-faults.js';

const config = loadConfig({
  PROFILE: 'dev',
  KAFKA_SECURITY_PROTOCOL: 'SASL_SSL',
  KAFKA_SASL_USERNAME: 'fanout',
  KAFKA_SASL_PASSWORD: 'hunter2',
});
const away = { message: 'Local: Broker transport failure' };

/** As librdkafka 2.15 says it. */
const line = (said: string) => ({
  fac: 'FAIL',
  message: `[thrd:sasl_ssl://kafka:9092/bootstrap]: sasl_ssl://kafka:9092/bootstrap: ${said} (after 330ms in state AUTH_REQ)`,
});

test('a broker that refuses us is told from one that is away, and what to look at is named', () => {
  const told: KafkaRefusal[] = [];
  const faults = new ConnectionFaults('kafka:9092', config, (refusal) => told.push(refusal));
  faults.note(line('Connect to ipv4#10.0.0.1:9092 failed: Connection refused'));
  assert.equal(told.length, 0);
  assert.equal(faults.explain('no answer', away).message, 'no answer at kafka:9092: Local: Broker transport failure');
  const cases = {
    'SASL authentication error: Authentication failed during authentication': /KAFKA_SASL_PASSWORD/,
    'SSL handshake failed: certificate verify failed: broker certificate could not be verified':
      /KAFKA_SSL_CA_LOCATION/,
    "SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism: it's off": /KAFKA_SASL_MECHANISM/,
    'Receive failed: SSL routines::sslv3 alert bad certificate: SSL alert number 42': /KAFKA_SSL_CERTIFICATE_LOCATION/,
    'SASL authentication error: {"status":"invalid_token"}': /KAFKA_SASL_OAUTHBEARER_/,
  };
  for (const [said, mend] of Object.entries(cases)) {
    faults.note(line(said));
    const { name, message } = faults.explain('no answer', away);
    assert.equal(name, 'KafkaRefusal');
    assert.ok(message.startsWith(`Kafka at kafka:9092 refuses user fanout: ${said};`), message);
    assert.match(message, mend);
    assert.doesNotMatch(message, /hunter2/);
  }
  assert.equal(told.length, 1, 'a refusal that lasts is told again only after a while');
  faults.clear();
  assert.equal(faults.explain('no answer', away).name, 'Error');
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { loadConfig } from '../../../../services/lib/config/load.js';
import { riskOfKafka, securitySettings } from '../../../../services/lib/kafka/security-settings.js';
import { silentLogger } from '../../../../services/lib/logging.js';

test('what goes to brokers beyond this machine in clear is warned of', () => {
  const risk = (servers: string, protocol: string, mechanism = 'PLAIN') =>
    riskOfKafka(servers, {
      ...loadConfig({ PROFILE: 'dev' }),
      kafkaSecurityProtocol: protocol as 'SSL',
      kafkaSaslMechanism: mechanism as 'PLAIN',
    });
  const there = 'localhost:9092,kafka-2:9092';
  assert.match(risk(there, 'PLAINTEXT') ?? '', /^all records go .*kafka-2:9092 in clear: .*PROTOCOL=SSL$/);
  assert.match(risk(there, 'SASL_PLAINTEXT') ?? '', /^KAFKA_SASL_PASSWORD and all records .*PROTOCOL=SASL_SSL$/);
  assert.match(risk(there, 'SASL_PLAINTEXT', 'OAUTHBEARER') ?? '', /^our token and all records/);
  assert.match(risk(there, 'SASL_PLAINTEXT', 'SCRAM-SHA-512') ?? '', /^all records/);
  for (const protocol of ['SSL', 'SASL_SSL']) assert.equal(risk(there, protocol), undefined, protocol);
  for (const here of ['localhost:9092', '127.0.0.1:1, [::1]:2'])
    assert.equal(risk(here, 'SASL_PLAINTEXT'), undefined, here);
});

test('a password that is a variable is that of its own configuration', () => {
  const sasl = { KAFKA_SECURITY_PROTOCOL: 'SASL_PLAINTEXT', KAFKA_SASL_USERNAME: 'u', KAFKA_SASL_PASSWORD: 'first' };
  const config = loadConfig(sasl);
  const passwordOf = (each: typeof config) => securitySettings(each, silentLogger())['sasl.password'];
  const both = [config, { ...config, kafkaSaslPassword: 'second' }].map(passwordOf);
  assert.deepEqual(both, ['first', 'second']);
});

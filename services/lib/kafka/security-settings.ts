import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { SecurityVariable } from '../config/kafka-security.js';
import type { Config } from '../config/load.js';
import { secretReader } from '../secret-file.js';
import { type BrokerToken, readToken } from './token-file.js';

export type SecurityConfig = Pick<Config, SecurityVariable | 'secretFiles'>;

export type Settings = Record<string, string | number | boolean | (() => Promise<BrokerToken>)>;

const THIS_MACHINE = /^(\w+:\/\/)?(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/;

/** How brokers know us, and we them. Secrets that are files are read here, for each client anew. */
export function securitySettings(config: SecurityConfig): Settings {
  const protocol = config.kafkaSecurityProtocol;
  return {
    'security.protocol': protocol.toLowerCase(),
    ...(protocol.endsWith('SSL') ? tlsSettings(config) : {}),
    ...(protocol.startsWith('SASL') ? saslSettings(config) : {}),
  };
}

function tlsSettings(config: SecurityConfig): Settings {
  return {
    'enable.ssl.certificate.verification': true,
    'ssl.endpoint.identification.algorithm': 'https',
    ...unlessEmpty('ssl.ca.location', config.kafkaSslCaLocation),
    ...unlessEmpty('ssl.certificate.location', config.kafkaSslCertificateLocation),
    ...unlessEmpty('ssl.key.location', config.kafkaSslKeyLocation),
    ...unlessEmpty('ssl.key.password', secret(config, 'kafkaSslKeyPassword')),
  };
}

function saslSettings(config: SecurityConfig): Settings {
  const mechanism = { 'sasl.mechanism': config.kafkaSaslMechanism };
  if (config.kafkaSaslMechanism !== 'OAUTHBEARER')
    return {
      ...mechanism,
      'sasl.username': config.kafkaSaslUsername,
      'sasl.password': secret(config, 'kafkaSaslPassword'),
    };
  const { kafkaOauthTokenFile: file } = config;
  if (file !== '')
    // A refused token is no reason to wait: whoever reads it throws, and librdkafka asks again 10 s later.
    return { ...mechanism, oauthbearer_token_refresh_cb: () => new Promise((resolve) => resolve(readToken(file))) };
  return {
    ...mechanism,
    'sasl.oauthbearer.method': 'oidc',
    'sasl.oauthbearer.token.endpoint.url': config.kafkaOauthTokenEndpointUrl,
    'sasl.oauthbearer.client.id': config.kafkaOauthClientId,
    'sasl.oauthbearer.client.secret': secret(config, 'kafkaOauthClientSecret'),
    ...unlessEmpty('sasl.oauthbearer.scope', config.kafkaOauthScope),
    ...unlessEmpty('https.ca.location', config.kafkaOauthCaLocation),
  };
}

function secret(config: SecurityConfig, key: 'kafkaSaslPassword' | 'kafkaOauthClientSecret' | 'kafkaSslKeyPassword') {
  return secretReader(config[key], config.secretFiles[key])();
}

const unlessEmpty = (name: string, value: string): Settings => (value === '' ? {} : { [name]: value });

/** What everybody on the way to brokers can read; undefined: nothing, or there is no way. */
export function riskOfKafka(bootstrapServers: string, config: SecurityConfig): string | undefined {
  const { kafkaSecurityProtocol: protocol, kafkaSaslMechanism: mechanism } = config;
  const isThere = bootstrapServers.split(',').every((server) => THIS_MACHINE.test(server.trim()));
  if (protocol.endsWith('SSL') || isThere) return undefined;
  const secret = { PLAIN: 'KAFKA_SASL_PASSWORD and all records go', OAUTHBEARER: 'our token and all records go' };
  const what = protocol === 'PLAINTEXT' ? undefined : secret[mechanism as keyof typeof secret];
  const tls = protocol === 'PLAINTEXT' ? 'SSL' : 'SASL_SSL';
  return `${what ?? 'all records go'} to Kafka at ${bootstrapServers} in clear: set KAFKA_SECURITY_PROTOCOL=${tls}`;
}

/** Whom brokers should take us for, as far as it is known here; for messages. */
export function principalOf(config: SecurityConfig): string {
  if (config.kafkaSecurityProtocol.startsWith('SASL')) {
    if (config.kafkaSaslMechanism !== 'OAUTHBEARER') return `user ${config.kafkaSaslUsername}`;
    if (config.kafkaOauthTokenFile === '') return `client ${config.kafkaOauthClientId}`;
    return `${nameIn(() => readToken(config.kafkaOauthTokenFile).principal)} by token`;
  }
  const certificate = config.kafkaSslCertificateLocation;
  if (certificate === '') return 'who has no name';
  return `${nameIn(() => new X509Certificate(readFileSync(certificate)).subject.replaceAll('\n', ', '))} by certificate`;
}

function nameIn(read: () => string): string {
  try {
    return read() || 'somebody';
  } catch {
    return 'somebody';
  }
}

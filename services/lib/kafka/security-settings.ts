import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { SecurityVariable } from '../config/kafka-security.js';
import type { Config } from '../config/load.js';
import type { Logger } from '../logging.js';
import type { SecretFiles } from '../secret-file.js';
import { secretReader } from '../secret-reader.js';
import { type BrokerToken, readToken } from './token-file.js';

export type SecurityConfig = Pick<Config, SecurityVariable | 'secretFiles'>;

export type Settings = Record<string, string | number | boolean | (() => Promise<BrokerToken>)>;

const THIS_MACHINE = /^(\w+:\/\/)?(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/;

/** How brokers know us, and we them. Secrets that are files are read here, for each client anew. */
export function securitySettings(config: SecurityConfig, logger: Logger): Settings {
  const protocol = config.kafkaSecurityProtocol;
  return {
    'security.protocol': protocol.toLowerCase(),
    ...(protocol.endsWith('SSL') ? tlsSettings(config, logger) : {}),
    ...(protocol.startsWith('SASL') ? saslSettings(config, logger) : {}),
  };
}

function tlsSettings(config: SecurityConfig, logger: Logger): Settings {
  return {
    'enable.ssl.certificate.verification': true,
    'ssl.endpoint.identification.algorithm': 'https',
    ...unlessEmpty('ssl.ca.location', config.kafkaSslCaLocation),
    ...unlessEmpty('ssl.certificate.location', config.kafkaSslCertificateLocation),
    ...unlessEmpty('ssl.key.location', config.kafkaSslKeyLocation),
    ...unlessEmpty('ssl.key.password', secret(config, 'kafkaSslKeyPassword', logger)),
  };
}

function saslSettings(config: SecurityConfig, logger: Logger): Settings {
  const mechanism = { 'sasl.mechanism': config.kafkaSaslMechanism };
  if (config.kafkaSaslMechanism !== 'OAUTHBEARER')
    return {
      ...mechanism,
      'sasl.username': config.kafkaSaslUsername,
      'sasl.password': secret(config, 'kafkaSaslPassword', logger),
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
    'sasl.oauthbearer.client.secret': secret(config, 'kafkaOauthClientSecret', logger),
    ...unlessEmpty('sasl.oauthbearer.scope', config.kafkaOauthScope),
    ...unlessEmpty('https.ca.location', config.kafkaOauthCaLocation),
  };
}

const SECRETS = {
  kafkaSaslPassword: 'KAFKA_SASL_PASSWORD',
  kafkaOauthClientSecret: 'KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET',
  kafkaSslKeyPassword: 'KAFKA_SSL_KEY_PASSWORD',
} as const;
type SecretName = keyof typeof SECRETS;

/** Of files, for all clients of a process, so that what is wrong with one is said once. */
const readers = new WeakMap<SecretFiles, Map<SecretName, () => string>>();

function secret(config: SecurityConfig, name: SecretName, logger: Logger): string {
  const { secretFiles } = config;
  if (secretFiles[name] === undefined) return config[name];
  const known = readers.get(secretFiles) ?? new Map<SecretName, () => string>();
  readers.set(secretFiles, known);
  const read = known.get(name) ?? secretReader(SECRETS[name], config[name], secretFiles[name], logger);
  known.set(name, read);
  return read();
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

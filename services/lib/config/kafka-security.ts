import { readText } from '../read-file.js';
import { withoutSecrets } from '../secrets.js';

export type SecurityVariable =
  | 'kafkaSecurityProtocol'
  | 'kafkaSaslMechanism'
  | 'kafkaSaslUsername'
  | 'kafkaSaslPassword'
  | 'kafkaOauthTokenEndpointUrl'
  | 'kafkaOauthClientId'
  | 'kafkaOauthClientSecret'
  | 'kafkaOauthScope'
  | 'kafkaOauthCaLocation'
  | 'kafkaOauthTokenFile'
  | 'kafkaSslCaLocation'
  | 'kafkaSslCertificateLocation'
  | 'kafkaSslKeyLocation'
  | 'kafkaSslKeyPassword';

/** Of Config, whose module asks this one. */
type Config = Readonly<Record<SecurityVariable, string>>;
type Named = Readonly<Record<string, string>>;

/** What is wrong with how brokers are to know us, and we them. */
export function contradictionsOfKafka(config: Config): string[] {
  return [...ofSasl(config), ...ofCertificate(config), ...ofFiles(config)];
}

function ofSasl(config: Config): string[] {
  const { kafkaSecurityProtocol: protocol, kafkaSaslMechanism: mechanism } = config;
  const oauth = oauthVariables(config);
  if (!protocol.startsWith('SASL') || mechanism !== 'OAUTHBEARER') {
    const why = 'is used with KAFKA_SECURITY_PROTOCOL=SASL_* and KAFKA_SASL_MECHANISM=OAUTHBEARER alone';
    const problems = given(oauth).map((name) => `${name}: ${why}`);
    return protocol.startsWith('SASL') ? [...problems, ...ofPassword(config)] : problems;
  }
  const { KAFKA_SASL_OAUTHBEARER_TOKEN_FILE: file, ...endpoint } = oauth;
  if (file !== '')
    return given(endpoint).map((name) => `${name}: set either it or KAFKA_SASL_OAUTHBEARER_TOKEN_FILE, not both`);
  const needed = ['TOKEN_ENDPOINT_URL', 'CLIENT_ID', 'CLIENT_SECRET'].map((name) => `KAFKA_SASL_OAUTHBEARER_${name}`);
  return needed
    .filter((name) => endpoint[name as keyof typeof endpoint] === '')
    .map((name) => `${name}: is required with KAFKA_SASL_MECHANISM=OAUTHBEARER, or KAFKA_SASL_OAUTHBEARER_TOKEN_FILE`);
}

function oauthVariables(config: Config) {
  return {
    KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: config.kafkaOauthTokenEndpointUrl,
    KAFKA_SASL_OAUTHBEARER_CLIENT_ID: config.kafkaOauthClientId,
    KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: config.kafkaOauthClientSecret,
    KAFKA_SASL_OAUTHBEARER_SCOPE: config.kafkaOauthScope,
    KAFKA_SASL_OAUTHBEARER_CA_LOCATION: config.kafkaOauthCaLocation,
    KAFKA_SASL_OAUTHBEARER_TOKEN_FILE: config.kafkaOauthTokenFile,
  };
}

function ofPassword({ kafkaSecurityProtocol, kafkaSaslUsername, kafkaSaslPassword }: Config): string[] {
  return missing({ KAFKA_SASL_USERNAME: kafkaSaslUsername, KAFKA_SASL_PASSWORD: kafkaSaslPassword }).map(
    (name) => `${name}: is required with KAFKA_SECURITY_PROTOCOL=${kafkaSecurityProtocol}`,
  );
}

function ofCertificate(config: Config): string[] {
  const pair = {
    KAFKA_SSL_CERTIFICATE_LOCATION: config.kafkaSslCertificateLocation,
    KAFKA_SSL_KEY_LOCATION: config.kafkaSslKeyLocation,
  };
  const all = { ...pair, KAFKA_SSL_KEY_PASSWORD: config.kafkaSslKeyPassword };
  if (!config.kafkaSecurityProtocol.endsWith('SSL'))
    return given(all).map((name) => `${name}: is used with KAFKA_SECURITY_PROTOCOL=SSL or SASL_SSL alone`);
  if (given(all).length === 0) return [];
  return missing(pair).map((name) => `${name}: is required with ${given(all).join(', ')}`);
}

/** Of those that are used. librdkafka says of a file that it cannot use no more than "system lib". */
function ofFiles(config: Config): string[] {
  const authorities = {
    KAFKA_SSL_CA_LOCATION: config.kafkaSslCaLocation,
    KAFKA_SASL_OAUTHBEARER_CA_LOCATION: config.kafkaOauthCaLocation,
  };
  const files = {
    ...authorities,
    KAFKA_SSL_CERTIFICATE_LOCATION: config.kafkaSslCertificateLocation,
    KAFKA_SSL_KEY_LOCATION: config.kafkaSslKeyLocation,
    KAFKA_SASL_OAUTHBEARER_TOKEN_FILE: config.kafkaOauthTokenFile,
  };
  return Object.entries(files).flatMap(([name, path]) => {
    const isUsed = !name.startsWith('KAFKA_SSL_') || config.kafkaSecurityProtocol.endsWith('SSL');
    const problem = path === '' || !isUsed ? undefined : problemOfFile(path, name in authorities);
    return problem === undefined ? [] : [`${name}: ${problem}`];
  });
}

/** @param mayBeFolder librdkafka takes a folder of authorities */
function problemOfFile(path: string, mayBeFolder: boolean): string | undefined {
  try {
    return readText(path).trim() === '' ? `'${withoutSecrets(path)}' is empty` : undefined;
  } catch (error) {
    const { message, cause } = error as Error & { cause?: NodeJS.ErrnoException };
    return cause?.code === 'EISDIR' && mayBeFolder ? undefined : withoutSecrets(message);
  }
}

const given = (variables: Named) => Object.keys(variables).filter((name) => variables[name] !== '');
const missing = (variables: Named) => Object.keys(variables).filter((name) => variables[name] === '');

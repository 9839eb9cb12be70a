import { readServiceRules } from '../auth/claims.js';
import { readSecretFile, type SecretFiles } from '../secret-file.js';
import { keepSecret, withoutSecrets } from '../secrets.js';
import { readClientTls } from '../tls-client-files.js';
import { problemOfDatabaseUrl } from './database-url.js';
import { contradictionsOfKafka } from './kafka-security.js';
import { contradictionsOfStandard, problemOfStandardVariable } from './standard-otel.js';
import { type Profile, PROFILES, type Variable, variables } from './variables.js';

type ValueOf<V> = V extends { parse: (text: string) => infer R } ? (R extends { value: infer T } ? T : never) : never;

/** The configuration as data: one field a variable. */
export type Config = { readonly [K in keyof typeof variables]: ValueOf<(typeof variables)[K]> } & {
  /** They are read again when a connection is made (secretReader). */
  readonly secretFiles: SecretFiles;
};

export type Environment = Readonly<Record<string, string | undefined>>;

/** Everything that is wrong with the configuration, each problem naming its variable. */
export class ConfigError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(`the configuration is wrong:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
  }
}

const PREFIXES =
  /^(KAFKA_|DATABASE_|ALERT_|SCHEMA_(?:REGISTRY|WRITE)_|EMBEDDED_|STREAM_|OUTBOX_|RECONCILE_|AUDIT_|CALLER_|CREATE_|RELAY_|AUTH_|JWT_|GRPC_TLS_|GRPC_REFLECTION|PUSH_|FCM_|TRACE_)/;
/** Not the service's: the Kafka scripts of deploy/ read the first ones, Kubernetes sets the others for its services. */
const FOREIGN =
  /^KAFKA_(HEAP_OPTS|JVM_PERFORMANCE_OPTS|OPTS|COMMAND_CONFIG|PORT|MTLS_PORT|CONTROLLER_PORT|REPLICATION_FACTOR)$|_SERVICE_(HOST|PORT(_.*)?)$|_PORT(_\d+_TCP.*)?$/;

/**
 * Reads the configuration from environment variables.
 * @param needs what else who reads it needs: problems, each beginning with its variable
 * @throws ConfigError with all problems together
 */
export function loadConfig(
  environment: Environment,
  overrides: Partial<Config> = {},
  needs: (config: Config) => readonly string[] = () => [],
): Config {
  const problems: string[] = [];
  const profile = readProfile(environment, overrides);
  const secretFiles: Record<string, string> = {};
  const config: Record<string, unknown> = { secretFiles };
  for (const [key, entry] of Object.entries(variables)) {
    const variable = entry as Variable<unknown>;
    config[key] = variable.byProfile?.[profile] ?? variable.base;
    const text = readText(variable, environment, problems);
    if (text === undefined) continue;
    if (variable.secret) keepSecret(text);
    const parsed = variable.parse(text);
    if (typeof parsed === 'string') problems.push(`${variable.name}: ${shown(variable, text)} ${parsed}`);
    else config[key] = parsed.value;
    const file = environment[`${variable.name}_FILE`];
    if (variable.secret === true && file && !(key in overrides)) secretFiles[key] = file;
  }
  Object.assign(config, overrides);
  const known = new Set(Object.values(variables).flatMap(({ name }) => [name, `${name}_FILE`]));
  for (const name of Object.keys(environment)) {
    if (PREFIXES.test(name) && !known.has(name) && !FOREIGN.test(name)) {
      problems.push(`${name}: is not a variable of this service; deploy/VARIABLES.md lists them all`);
    }
    const problem = known.has(name) ? undefined : problemOfStandardVariable(name, environment[name] ?? '');
    if (problem !== undefined) problems.push(problem);
  }
  const complete = config as unknown as Config;
  const add = (more: readonly string[]) => {
    const said = new Set(problems.map(variableOf));
    problems.push(...more.filter((problem) => !said.has(variableOf(problem))));
  };
  add([...contradictions(complete), ...contradictionsOfStandard(environment)]);
  add(needs(complete));
  if (problems.length > 0) throw new ConfigError(problems);
  return complete;
}

/** `KAFKA_SASL_PASSWORD`, whichever way it was given. */
const variableOf = (problem: string) => problem.split(':')[0]!.replace(/_FILE$/, '');

function readProfile(environment: Environment, overrides: Partial<Config>): Profile {
  const wanted = overrides.profile ?? environment['PROFILE'] ?? variables.profile.base;
  if ((PROFILES as readonly string[]).includes(wanted)) return wanted as Profile;
  // What is wrong with it is reported with the other variables.
  return variables.profile.base;
}

function readText(variable: Variable<unknown>, environment: Environment, problems: string[]): string | undefined {
  const file = environment[`${variable.name}_FILE`];
  const direct = environment[variable.name];
  if (file === undefined || file === '') return direct === '' ? undefined : direct;
  if (!variable.secret) {
    problems.push(`${variable.name}_FILE: only secrets may be given as a file; set ${variable.name}`);
    return direct;
  }
  if (direct !== undefined && direct !== '') {
    problems.push(`${variable.name}: set either it or ${variable.name}_FILE, not both`);
    return direct;
  }
  try {
    return readSecretFile(file);
  } catch (error) {
    problems.push(`${variable.name}_FILE: ${(error as Error).message}`);
    return undefined;
  }
}

function shown(variable: Variable<unknown>, text: string): string {
  return variable.secret ? 'the given value' : `'${withoutSecrets(text)}'`;
}

/** What is wrong with values that are right each for itself. */
function contradictions(config: Config): string[] {
  const problems: string[] = [];
  if (config.databaseUrl !== '') {
    const problem = problemOfDatabaseUrl(config.databaseUrl, config.profile === 'prod');
    if (problem !== undefined) problems.push(`DATABASE_URL: ${problem}`);
  }
  problems.push(...contradictionsOfRegistry(config));
  const { selfAlertCertFile, selfAlertKeyFile, selfAlertTokenFile } = config;
  if (config.authMode === 'jwt' && config.selfAlerts && selfAlertTokenFile === '' && selfAlertCertFile === '')
    problems.push(
      'ALERT_MONITORING_SELF_ALERT_TOKEN_FILE: is required with AUTH_MODE=jwt and ALERT_MONITORING_SELF_ALERTS, ' +
        'or ALERT_MONITORING_SELF_ALERT_CERT_FILE',
    );
  const urls = { SCHEMA_REGISTRY_URL: config.schemaRegistryUrl, JWT_JWKS: config.jwtJwks };
  for (const [name, url] of Object.entries(urls))
    if ([url, ...url.split(',')].some((each) => /^\s*https?:\/\/[^/?#]*@/.test(each)))
      problems.push(`${name}: must not have a user and password in it`);
  if ((selfAlertCertFile === '') !== (selfAlertKeyFile === ''))
    problems.push(
      'ALERT_MONITORING_SELF_ALERT_CERT_FILE, ALERT_MONITORING_SELF_ALERT_KEY_FILE: must be set together, or neither',
    );
  if (selfAlertCertFile !== '' && config.selfAlertCaFile === '')
    problems.push('ALERT_MONITORING_SELF_ALERT_CERT_FILE: needs ALERT_MONITORING_SELF_ALERT_CA_FILE');
  if ((config.grpcTlsCertFile === '') !== (config.grpcTlsKeyFile === ''))
    problems.push('GRPC_TLS_CERT_FILE, GRPC_TLS_KEY_FILE: must be set together, or neither');
  if (config.grpcTlsClientCaFile !== '' && config.grpcTlsCertFile === '')
    problems.push('GRPC_TLS_CLIENT_CA_FILE: needs GRPC_TLS_CERT_FILE and GRPC_TLS_KEY_FILE');
  if (config.grpcTlsIdentitiesFile !== '' && (config.grpcTlsClientCaFile === '' || config.authMode !== 'jwt'))
    problems.push('GRPC_TLS_IDENTITIES_FILE: needs GRPC_TLS_CLIENT_CA_FILE and AUTH_MODE=jwt');
  problems.push(...contradictionsOfKafka(config));
  if (config.consumerHeartbeatIntervalMs * 3 > config.consumerSessionTimeoutMs) {
    problems.push('KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS: must be at most a third of KAFKA_CONSUMER_SESSION_TIMEOUT_MS');
  }
  if (config.producerLingerMs >= config.producerDeliveryTimeoutMs) {
    problems.push('KAFKA_PRODUCER_LINGER_MS: must be below KAFKA_PRODUCER_DELIVERY_TIMEOUT_MS');
  }
  if (config.metricsExporter === 'otlp' && config.otlpEndpoint === '' && config.otlpMetricsEndpoint === '') {
    problems.push(
      'OTEL_METRICS_EXPORTER: otlp needs OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_METRICS_ENDPOINT',
    );
  }
  const topics = Object.entries(variables).filter(([key]) => key.startsWith('topic')) as [
    keyof Config,
    { name: string },
  ][];
  if (new Set(topics.map(([key]) => config[key])).size < topics.length)
    problems.push(`${topics.map(([, { name }]) => name).join(', ')}: must differ`);
  if (config.authMode === 'dev' && config.authDevRemote === 'refuse' && !isLoopback(config.grpcListen)) {
    problems.push(
      `GRPC_LISTEN: '${config.grpcListen}' is reachable from outside, and AUTH_MODE=dev believes whatever a caller ` +
        'says; listen on 127.0.0.1, or set AUTH_DEV_REMOTE=anyone-may-be-anyone as well',
    );
  }
  return problems;
}

function contradictionsOfRegistry(config: Config): string[] {
  const problems: string[] = [];
  const [ca, cert, key] = [config.schemaRegistryCaFile, config.schemaRegistryCertFile, config.schemaRegistryKeyFile];
  if (config.schemaRegistryToken !== '' && config.schemaRegistryUsername !== '')
    problems.push('SCHEMA_REGISTRY_TOKEN, SCHEMA_REGISTRY_USERNAME: set one of them');
  if ((cert === '') !== (key === ''))
    problems.push('SCHEMA_REGISTRY_CERT_FILE, SCHEMA_REGISTRY_KEY_FILE: must be set together, or neither');
  else if (ca + cert !== '' && !config.schemaRegistryUrl.includes('https:'))
    problems.push('SCHEMA_REGISTRY_CA_FILE, SCHEMA_REGISTRY_CERT_FILE: need an https:// SCHEMA_REGISTRY_URL');
  else
    try {
      readClientTls({ ca: ca || undefined, cert: cert || undefined, key: key || undefined });
    } catch (error) {
      problems.push(`SCHEMA_REGISTRY_CA_FILE, _CERT_FILE, _KEY_FILE: ${(error as Error).message}`);
    }
  return problems;
}

/** What a role that serves gRPC lacks for AUTH_MODE=jwt; others need none of it. */
export function missingForJwt(config: Config): string[] {
  if (config.authMode !== 'jwt') return [];
  const problems: string[] = [];
  const needed = { JWT_JWKS: config.jwtJwks, JWT_ISSUER: config.jwtIssuer, JWT_AUDIENCE: config.jwtAudience };
  for (const [name, value] of Object.entries(needed))
    if (value.trim() === '') problems.push(`${name}: is required with AUTH_MODE=jwt`);
  if (/^http:/.test(config.jwtJwks) && config.profile === 'prod')
    problems.push(
      'JWT_JWKS: must be an https:// URL or a file in the profile prod: who changes it on its way is everybody',
    );
  try {
    readServiceRules(config.jwtServiceClaim);
  } catch (error) {
    problems.push(`JWT_SERVICE_CLAIM: ${(error as Error).message}`);
  }
  return problems;
}

function isLoopback(listen: string): boolean {
  return listen === '' || /^(127\.\d+\.\d+\.\d+|localhost|\[::1\]):\d+$/.test(listen);
}

/** The configuration for people to read: a line a variable, secrets left out. */
export function describeConfig(config: Config): string[] {
  return Object.entries(variables).map(([key, variable]) => {
    const value = String(config[key as keyof typeof variables]);
    const isSecret = 'secret' in variable && variable.secret && value !== '';
    return `${variable.name}=${isSecret ? '(secret)' : withoutSecrets(value)}`;
  });
}

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import {
  ConfigError,
  describeConfig,
  type Environment,
  loadConfig,
  missingForJwt,
} from '../../../../services/lib/config/load.js';
import { type Variable, variables } from '../../../../services/lib/config/variables.js';
import { secretReader } from '../../../../services/lib/secret-reader.js';
import { temporaryFolder } from '../../../support/cleanup.js';
import { logLines } from '../../../support/log-lines.js';

function problems(environment: Environment): readonly string[] {
  try {
    loadConfig(environment);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems;
  }
  return [];
}

/** The variables that are named at the beginning of the problems. */
const named = (environment: Environment) => problems(environment).map((text) => text.split(':')[0]);

test('no variable at all is the embedded profile', () => {
  const config = loadConfig({});
  assert.equal(config.profile, 'embedded');
  assert.equal(config.databaseUrl, '');
  assert.equal(config.kafkaBootstrapServers, '');
  assert.equal(config.logLevel, 'warn');
});

test('defaults follow the profile, and a variable overrides them', () => {
  const dev = loadConfig({ PROFILE: 'dev' });
  assert.equal(dev.kafkaBootstrapServers, 'localhost:9092');
  assert.equal(dev.consumerGroup, 'ssom-alert-consumer-dev');
  assert.equal(dev.producerRetries, 3);
  const needed = {
    PROFILE: 'prod',
    DATABASE_URL: 'postgres://db/ssom?sslmode=verify-full',
    SCHEMA_REGISTRY_URL: 'http://registry:8081',
    AUTH_MODE: 'dev',
  };
  const prod = loadConfig(needed);
  assert.equal(prod.kafkaBootstrapServers, 'kafka-cluster:9092');
  assert.equal(prod.consumerGroup, 'ssom-alert-consumer');
  assert.equal(prod.producerRetries, 10);
  assert.equal(prod.setUpAtStart, false);
  assert.equal(loadConfig({ ...needed, KAFKA_PRODUCER_RETRIES: '7' }).producerRetries, 7);
});

test('an empty variable counts as absent', () => {
  assert.equal(loadConfig({ KAFKA_PRODUCER_RETRIES: '' }).producerRetries, 3);
});

test('all problems are reported together, each with its variable', () => {
  assert.deepEqual(
    named({
      PROFILE: 'staging',
      DATABASE_URL: 'mysql://x',
      KAFKA_PRODUCER_RETRIES: 'three',
      KAFKA_PRODUCER_ACKS: '1',
      KAFKA_TOPIC_USER_ALERT: 'has space',
      SCHEMA_REGISTRY_URL: 'registry:8081',
      GRPC_MAX_MESSAGE_BYTES: '12',
      SET_UP_AT_START: 'yes',
      STREAM_PAGE_SIZE: '0x10',
      KAFKA_CONSUMER_FETCH_MIN_SIZE: '1.5',
      ALERT_NO_SUCH_THING: '1',
    }).sort(),
    [
      'ALERT_NO_SUCH_THING',
      'DATABASE_URL',
      'GRPC_MAX_MESSAGE_BYTES',
      'KAFKA_CONSUMER_FETCH_MIN_SIZE',
      'KAFKA_PRODUCER_ACKS',
      'KAFKA_PRODUCER_RETRIES',
      'KAFKA_TOPIC_USER_ALERT',
      'PROFILE',
      'SCHEMA_REGISTRY_URL',
      'SET_UP_AT_START',
      'STREAM_PAGE_SIZE',
    ],
  );
});

test('a pool in which nothing could be repaired is refused', () => {
  for (const size of ['0', '1', '2'])
    assert.throws(
      () => loadConfig({ DATABASE_POOL_MAX: size }),
      /DATABASE_POOL_MAX: '\d' is not a whole number from 3 to 200/,
    );
  assert.equal(loadConfig({ DATABASE_POOL_MAX: '3' }).databasePoolMax, 3);
});

test('a problem says what would be right', () => {
  assert.match(problems({ KAFKA_PRODUCER_RETRIES: '-1' })[0]!, /'-1' is not a whole number from \d+ to 1000000/);
  assert.match(problems({ PROFILE: 'staging' })[0]!, /'staging' is not one of embedded, dev, prod/);
});

test('what contradicts itself', () => {
  const prod = { PROFILE: 'prod', DATABASE_URL: 'postgres://127.0.0.1/ssom', SCHEMA_REGISTRY_URL: 'http://r:1' };
  assert.deepEqual(named({ PROFILE: 'prod', AUTH_MODE: 'dev' }), [], 'what a command does not need it need not have');
  assert.deepEqual(named(prod), [], 'roles without gRPC, and tools, need no more');
  const missing = (environment: Record<string, string>) =>
    missingForJwt(loadConfig({ ...prod, ...environment })).map((problem) => problem.split(':')[0]);
  assert.deepEqual(missing({}), ['JWT_JWKS', 'JWT_ISSUER', 'JWT_AUDIENCE']);
  const jwt = {
    JWT_JWKS: 'https://login.example/keys',
    JWT_ISSUER: 'https://login.example',
    JWT_AUDIENCE: 'ssom-alert',
  };
  assert.deepEqual(missing(jwt), []);
  assert.deepEqual(missing({ ...jwt, JWT_JWKS: 'http://login.example/keys' }), ['JWT_JWKS']);
  assert.deepEqual(missing({ ...jwt, JWT_SERVICE_CLAIM: '=x' }), ['JWT_SERVICE_CLAIM']);
  assert.deepEqual(missing({ AUTH_MODE: 'dev' }), []);
  const selfAlerts = { ...prod, ...jwt, ALERT_MONITORING_SELF_ALERTS: 'true' };
  assert.deepEqual(named(selfAlerts), ['ALERT_MONITORING_SELF_ALERT_TOKEN_FILE']);
  assert.deepEqual(named({ KAFKA_SECURITY_PROTOCOL: 'SASL_SSL' }), ['KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD']);
  assert.deepEqual(named({ KAFKA_CONSUMER_SESSION_TIMEOUT_MS: '8999' }), ['KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS']);
  assert.deepEqual(named({ KAFKA_CONSUMER_SESSION_TIMEOUT_MS: '9000' }), []);
  assert.deepEqual(problems({ KAFKA_TOPIC_USER_ALERT: 'same', KAFKA_TOPIC_INBOX_CHANGE: 'same' }).length, 1);
});

test('what a role needs besides is said with all else, and no variable twice', () => {
  const needs = () => ['KAFKA_PRODUCER_RETRIES: is small', 'DATABASE_URL: is required', 'JWT_JWKS: is required'];
  const environment = { KAFKA_PRODUCER_RETRIES: '-1', DATABASE_URL_FILE: '/nowhere' };
  assert.throws(
    () => loadConfig(environment, {}, needs),
    ({ problems: all }: ConfigError) => {
      const variables = all.map((problem) => problem.split(':')[0]);
      assert.deepEqual(variables.sort(), ['DATABASE_URL_FILE', 'JWT_JWKS', 'KAFKA_PRODUCER_RETRIES']);
      return true;
    },
  );
});

test('AUTH_MODE=dev does not listen beyond loopback unless told twice', () => {
  for (const listen of ['0.0.0.0:50051', '[::]:50051', '10.0.0.5:50051', 'alerts.example.com:50051', '127.evil.com:1'])
    assert.deepEqual(named({ GRPC_LISTEN: listen }), ['GRPC_LISTEN'], listen);
  for (const listen of ['127.0.0.1:0', '127.1.2.3:50051', 'localhost:50051', '[::1]:50051', ''])
    assert.deepEqual(named({ GRPC_LISTEN: listen }), [], listen);
  assert.deepEqual(named({ GRPC_LISTEN: '0.0.0.0:50051', AUTH_DEV_REMOTE: 'anyone-may-be-anyone' }), []);
  assert.deepEqual(named({ GRPC_LISTEN: '0.0.0.0:50051', AUTH_DEV_REMOTE: 'yes' }).sort(), [
    'AUTH_DEV_REMOTE',
    'GRPC_LISTEN',
  ]);
});

test('unknown variables: ours are refused, foreign ones left alone', () => {
  assert.deepEqual(named({ KAFKA_BOOTSTRAP_SERVER: 'localhost:9092' }), ['KAFKA_BOOTSTRAP_SERVER']);
  assert.deepEqual(named({ DATABASE_PASSWORD: 'x', STREAM_X: 'y' }).sort(), ['DATABASE_PASSWORD', 'STREAM_X']);
  assert.deepEqual(named({ PATH: '/bin', HOME: '/root', KAFKA_HEAP_OPTS: '-Xmx1g', OTEL_SERVICE_NAME: 'x' }), []);
});

test('what Kubernetes sets for its Services is left alone', () => {
  const links = {
    SERVICE_HOST: '10.0.0.1',
    SERVICE_PORT: '9092',
    SERVICE_PORT_CLIENT: '9092',
    PORT: 'tcp://10.0.0.1:9092',
  };
  const more = { PORT_9092_TCP: 'tcp://10.0.0.1:9092', PORT_9092_TCP_ADDR: '10.0.0.1', PORT_9092_TCP_PROTO: 'tcp' };
  for (const service of ['KAFKA', 'DATABASE', 'SCHEMA_REGISTRY', 'STREAM_GATEWAY', 'ALERT_API'])
    for (const [name, value] of Object.entries({ ...links, ...more }))
      assert.deepEqual(problems({ [`${service}_${name}`]: value }), [], `${service}_${name}`);
});

test("each of OpenTelemetry's standard variables is honoured, or refused with what is right", () => {
  const honoured = {
    OTEL_SDK_DISABLED: 'false',
    OTEL_TRACES_EXPORTER: 'none',
    OTEL_METRICS_EXPORTER: 'none',
    OTEL_LOGS_EXPORTER: 'none',
    OTEL_PROPAGATORS: 'tracecontext,baggage',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: 'grpc',
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'api-key=secret, x=y%20z',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: '5000',
    OTEL_EXPORTER_OTLP_INSECURE: 'true',
    OTEL_EXPORTER_OTLP_METRICS_HEADERS: 'authorization=Basic dTpw==',
    OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '500',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=prod,k8s.pod.name=a-b',
    OTEL_RESOURCE_ATTRIBUTES_POD_NAME: 'a-b',
    OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: '64',
    OTEL_PYTHON_LOG_CORRELATION: 'true',
    OTEL_TRACES_SAMPLER: '',
    OTEL_LOG_LEVEL: '',
  };
  assert.deepEqual(problems(honoured), []);
  const wrong = {
    OTEL_SDK_DISABLED: 'yes',
    OTEL_TRACES_EXPORTER: 'zipkin',
    OTEL_METRICS_EXPORTER: 'console',
    OTEL_EXPORTER_OTLP_KEY: 'x',
    OTEL_LOGS_EXPORTER: 'otlp',
    OTEL_PROPAGATORS: 'b3',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_TRACES_SAMPLER: 'jaeger_remote',
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'collector:4317',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'zstd',
    OTEL_EXPORTER_OTLP_TIMEOUT: '10s',
    OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'delta',
    OTEL_RESOURCE_ATTRIBUTES: 'production',
    OTEL_SPAN_LINK_COUNT_LIMIT: 'many',
    OTEL_LOG_LEVEL: 'debug',
    OTEL_EXPORTER_PROMETHEUS_PORT: '9464',
    OTEL_EXPORTER_ZIPKIN_ENDPOINT: 'http://zipkin',
    OTEL_BLRP_SCHEDULE_DELAY: '1000',
    OTEL_NODE_RESOURCE_DETECTORS: 'all',
    OTEL_CONFIG_FILE: 'otel.yaml',
    OTEL_SOMETHING_NEW: 'x',
  };
  assert.deepEqual(named(wrong).sort(), Object.keys(wrong).sort());
  assert.match(problems({ OTEL_EXPORTER_PROMETHEUS_PORT: '9464' })[0]!, /HTTP_LISTEN/);
  assert.doesNotMatch(problems({ OTEL_EXPORTER_OTLP_HEADERS: 'secret' })[0]!, /secret/);
  // The SDK would leave out all of them, or fail when it sends.
  for (const attributes of ['a=b=c', 'a=%zz', `a=${'x'.repeat(256)}`, '=b', ','])
    assert.deepEqual(named({ OTEL_RESOURCE_ATTRIBUTES: attributes }), ['OTEL_RESOURCE_ATTRIBUTES'], attributes);
  for (const headers of ['a b=c', '키=v', 'a=%zz', 'a=%EA%B0%80', '=b'])
    assert.deepEqual(named({ OTEL_EXPORTER_OTLP_HEADERS: headers }), ['OTEL_EXPORTER_OTLP_HEADERS'], headers);
});

test('standard variables that are right and have no effect together are refused by name', () => {
  const to = { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://127.0.0.1:4317' };
  assert.deepEqual(named(to), Object.keys(to));
  assert.match(problems(to)[0]!, /OTEL_METRICS_EXPORTER=otlp/);
  assert.deepEqual(problems({ ...to, OTEL_METRICS_EXPORTER: 'otlp' }), []);
  assert.deepEqual(problems({ ...to, OTEL_METRICS_EXPORTER: 'none' }), []);
  assert.deepEqual(named({ OTEL_TRACES_EXPORTER: 'otlp' }), ['OTEL_TRACES_EXPORTER']);
  const traces = { OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:4317' };
  assert.deepEqual(problems(traces), []);
  assert.deepEqual(named({ OTEL_TRACES_SAMPLER_ARG: '0.1' }), ['OTEL_TRACES_SAMPLER_ARG']);
  assert.deepEqual(problems({ OTEL_TRACES_SAMPLER_ARG: '0.1', OTEL_TRACES_SAMPLER: 'traceidratio' }), []);
});

test("files of OTLP's certificates are there, hold PEM, and come in pairs", (t) => {
  const folder = temporaryFolder();
  t.after(() => folder.remove());
  const [pem, text] = [join(folder.path, 'a.pem'), join(folder.path, 'a.txt')];
  writeFileSync(pem, '-----BEGIN CERTIFICATE-----\n');
  writeFileSync(text, 'none');
  for (const name of ['OTEL_EXPORTER_OTLP_CERTIFICATE', 'OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE']) {
    for (const file of ['/nope', text, folder.path]) assert.deepEqual(named({ [name]: file }), [name], file);
    assert.deepEqual(problems({ [name]: pem }), []);
  }
  const [certificate, key] = ['OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE', 'OTEL_EXPORTER_OTLP_CLIENT_KEY'];
  assert.deepEqual(named({ [certificate]: pem }), [certificate]);
  assert.deepEqual(named({ [key]: pem }), [key]);
  assert.deepEqual(problems({ [certificate]: pem, [key]: pem }), []);
});

test('how brokers know us: what is missing, contradicts itself, or is no file', (t) => {
  const folder = temporaryFolder();
  t.after(folder.remove);
  const [pem, empty] = [join(folder.path, 'a.pem'), join(folder.path, 'empty')];
  writeFileSync(pem, 'PEM');
  writeFileSync(empty, '\n');
  const certificate = { KAFKA_SSL_CERTIFICATE_LOCATION: pem };
  assert.deepEqual(named(certificate), ['KAFKA_SSL_CERTIFICATE_LOCATION']);
  const tls = { KAFKA_SECURITY_PROTOCOL: 'SSL' };
  assert.deepEqual(named({ ...tls, ...certificate }), ['KAFKA_SSL_KEY_LOCATION']);
  assert.deepEqual(named({ ...tls, KAFKA_SSL_KEY_LOCATION: pem }), ['KAFKA_SSL_CERTIFICATE_LOCATION']);
  assert.deepEqual(problems({ ...tls, ...certificate, KAFKA_SSL_KEY_LOCATION: pem }), []);
  const wrong = { none: /cannot be read \(ENOENT\)/, empty: /is empty/, '': /is a folder, and must be a file/ };
  for (const [name, reason] of Object.entries(wrong)) {
    const key = { KAFKA_SSL_KEY_LOCATION: join(folder.path, name) };
    const found = problems({ ...tls, ...certificate, ...key });
    assert.equal(found.length, 1);
    assert.match(found[0]!, reason);
  }
  const authority = (path: string) => ({ KAFKA_SSL_CA_LOCATION: path });
  assert.deepEqual(problems({ ...tls, ...authority(folder.path) }), [], 'a folder of authorities');
  assert.deepEqual(named({ ...tls, ...authority(empty) }), ['KAFKA_SSL_CA_LOCATION']);
  assert.deepEqual(problems(authority(empty)), [], 'it is not used without TLS');
  const oauth = 'KAFKA_SASL_OAUTHBEARER';
  assert.deepEqual(named({ [`${oauth}_TOKEN_FILE`]: pem }), [`${oauth}_TOKEN_FILE`]);
  const sasl = { KAFKA_SECURITY_PROTOCOL: 'SASL_SSL', KAFKA_SASL_MECHANISM: 'OAUTHBEARER' };
  const endpoint = [`${oauth}_TOKEN_ENDPOINT_URL`, `${oauth}_CLIENT_ID`, `${oauth}_CLIENT_SECRET`];
  assert.deepEqual(named(sasl), endpoint);
  assert.deepEqual(problems({ ...sasl, [`${oauth}_TOKEN_FILE`]: pem }), []);
  assert.deepEqual(named({ ...sasl, [`${oauth}_TOKEN_FILE`]: pem, [endpoint[1]!]: 'me' }), [endpoint[1]]);
});

test('a secret may stand in a file', (t) => {
  const folder = temporaryFolder();
  t.after(folder.remove);
  const file = join(folder.path, 'url');
  writeFileSync(file, 'postgres://u:p@db/ssom\n');
  assert.equal(loadConfig({ DATABASE_URL_FILE: file }).databaseUrl, 'postgres://u:p@db/ssom');
  assert.equal(loadConfig({ DATABASE_URL_FILE: file, DATABASE_URL: '' }).databaseUrl, 'postgres://u:p@db/ssom');
  assert.match(problems({ DATABASE_URL_FILE: file, DATABASE_URL: 'postgres://x/y' })[0]!, /^DATABASE_URL: .*not both/);
  assert.match(problems({ DATABASE_URL_FILE: join(folder.path, 'none') })[0]!, /^DATABASE_URL_FILE: .*ENOENT/);
  assert.match(problems({ LOG_LEVEL_FILE: file })[0]!, /^LOG_LEVEL_FILE: only secrets/);
  assert.match(problems({ DATABASE_URL_FILE: folder.path })[0]!, /^DATABASE_URL_FILE: .*EISDIR/);
  writeFileSync(file, '\n');
  assert.match(problems({ DATABASE_URL_FILE: file })[0]!, /^DATABASE_URL_FILE: '.*' is empty/);
});

test('the file of a secret is read again; what was there stays while it cannot be', (t) => {
  const folder = temporaryFolder();
  t.after(folder.remove);
  const file = join(folder.path, 'password');
  writeFileSync(file, 'first\n');
  const { kafkaSaslPassword, secretFiles } = loadConfig({ KAFKA_SASL_PASSWORD_FILE: file });
  const { logger, lines } = logLines();
  const read = secretReader('KAFKA_SASL_PASSWORD', kafkaSaslPassword, secretFiles['kafkaSaslPassword'], logger);
  assert.equal(read(), 'first');
  writeFileSync(file, 'second\r\n');
  assert.equal(read(), 'second');
  writeFileSync(file, '');
  for (let times = 0; times < 3; times += 1) assert.equal(read(), 'second');
  const problems = lines.filter(({ level }) => level === 50);
  assert.deepEqual(
    problems.map(({ reason, msg }) => [reason, msg]),
    [[`'${file}' is empty`, 'KAFKA_SASL_PASSWORD_FILE cannot be used as it is now; what was there before is']],
  );
  assert.deepEqual(loadConfig({ KAFKA_SASL_PASSWORD: 'x' }).secretFiles, {});
  writeFileSync(file, 'postgres://u@db/ssom');
  assert.deepEqual(loadConfig({ DATABASE_URL_FILE: file }, { databaseUrl: 'postgres://x/y' }).secretFiles, {});
});

test('a file that holds no secret is refused by its name, and says what is wrong with it', (t) => {
  const folder = temporaryFolder();
  t.after(folder.remove);
  const file = (name: string, content: string | Buffer, mode = 0o600) => {
    const path = join(folder.path, name);
    writeFileSync(path, content, { mode });
    return path;
  };
  const wrong: [file: string, reason: RegExp][] = [
    [folder.path, /'.*' cannot be read \(EISDIR\): it is a folder, and must be a file/],
    [join(folder.path, 'none'), /'.*none' cannot be read \(ENOENT\): there is none/],
    [join(file('file', 'x'), 'below'), /'.*below' cannot be read \(ENOTDIR\)/],
    [file('empty', ''), /'.*empty' is empty/],
    [file('blank', ' \n\n'), /'.*blank' is empty/],
    [file('large', Buffer.alloc(10_000_000, 'x')), /'.*large' has more than 65536 bytes and is no file of a secret/],
    ['/dev/zero', /'.*zero' has more than 65536 bytes and is no file of a secret/],
  ];
  // Root may read everything.
  if (process.getuid?.() !== 0) wrong.push([file('shut', 'x', 0o000), /\(EACCES\): this user may not read it/]);
  for (const [path, reason] of wrong) {
    const found = problems({ KAFKA_SASL_PASSWORD_FILE: path });
    assert.equal(found.length, 1, found.join());
    assert.match(found[0]!, new RegExp(`^KAFKA_SASL_PASSWORD_FILE: ${reason.source}$`));
  }
  for (const end of ['', '\n', '\r\n'])
    assert.equal(
      loadConfig({ KAFKA_SASL_PASSWORD_FILE: file('right', `two words${end}`) }).kafkaSaslPassword,
      'two words',
    );
});

test('a variable that is named like a secret is one, or names a file', () => {
  const named = Object.values(variables as Record<string, Variable<unknown>>).filter(
    ({ name }) => /PASSWORD|PASSPHRASE|SECRET|TOKEN|KEY|CREDENTIALS/.test(name) && !/_(FILE|LOCATION)$/.test(name),
  );
  const open = named.filter(({ secret }) => secret !== true).map(({ name }) => name);
  // Where tokens come from; and the name of a file, or application-default.
  assert.deepEqual(open, ['KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL', 'FCM_CREDENTIALS']);
});

test('a wrong secret is not repeated, and secrets are left out when the configuration is shown', () => {
  const environment = { DATABASE_URL: 'postgres://u:hunter2@db/ssom', SCHEMA_REGISTRY_PASSWORD: 'hunter3' };
  const shown = describeConfig(loadConfig(environment)).join('\n');
  assert.doesNotMatch(shown, /hunter/);
  assert.match(shown, /^DATABASE_URL=\(secret\)$/m);
  assert.match(shown, /^KAFKA_SASL_PASSWORD=$/m);
  assert.match(shown, /^PROFILE=embedded$/m);
  assert.doesNotMatch(problems({ DATABASE_URL: 'mysql://u:hunter2@db/ssom' }).join('\n'), /hunter2/);
});

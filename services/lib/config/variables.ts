/**
 * Every variable that the service reads, as data: deploy/VARIABLES.md is generated from it, and
 * `loadConfig` reads by it. A variable's default is `base` unless the profile has one of its own.
 */

export const PROFILES = ['embedded', 'dev', 'prod'] as const;
export type Profile = (typeof PROFILES)[number];

export interface Variable<T> {
  /** The environment variable. `NAME_FILE` is read instead where `secret` is set. */
  readonly name: string;
  readonly doc: string;
  readonly base: T;
  readonly byProfile?: Partial<Record<Profile, T>>;
  /** The key of the Spring application that this one replaces. */
  readonly spring?: string;
  /** librdkafka's name of the same setting. */
  readonly librdkafka?: string;
  readonly secret?: boolean;
  /** The heading in deploy/VARIABLES.md that this variable and those after it stand under. */
  readonly heading?: string;
  /** Values that are accepted, in words, for the error message. */
  readonly accepts: string;
  /** Returns the value, or a string that says what is wrong with the text. */
  readonly parse: (text: string) => { value: T } | string;
}

type Rest<T> = Omit<Variable<T>, 'parse' | 'accepts' | 'base' | 'name' | 'doc'>;

function integer(name: string, base: number, range: [number, number], doc: string, rest: Rest<number> = {}) {
  const [min, max] = range;
  const accepts = `a whole number from ${min} to ${max}`;
  const parse = (text: string) => {
    const value = Number(text);
    return /^-?\d+$/.test(text) && value >= min && value <= max ? { value } : `is not ${accepts}`;
  };
  return { name, base, doc, accepts, parse, ...rest } satisfies Variable<number>;
}

function fraction(name: string, base: number, doc: string, rest: Rest<number> = {}) {
  const accepts = 'a number from 0 to 1';
  const parse = (text: string) =>
    /^(0|1|[01]?\.\d+)$/.test(text) && Number(text) <= 1 ? { value: Number(text) } : `is not ${accepts}`;
  return { name, base, doc, accepts, parse, ...rest } satisfies Variable<number>;
}

function text(name: string, base: string, doc: string, rest: Rest<string> = {}) {
  const parse = (value: string) => ({ value });
  return { name, base, doc, accepts: 'text', parse, ...rest } satisfies Variable<string>;
}

function matching(name: string, base: string, pattern: RegExp, accepts: string, doc: string, rest: Rest<string> = {}) {
  const parse = (value: string) => (pattern.test(value) ? { value } : `is not ${accepts}`);
  return { name, base, doc, accepts, parse, ...rest } satisfies Variable<string>;
}

function choice<const C extends readonly string[]>(
  name: string,
  base: C[number],
  choices: C,
  doc: string,
  rest: Rest<C[number]> = {},
) {
  const accepts = `one of ${choices.join(', ')}`;
  const parse = (value: string) => (choices.includes(value) ? { value: value as C[number] } : `is not ${accepts}`);
  return { name, base, doc, accepts, parse, ...rest } satisfies Variable<C[number]>;
}

function flag(name: string, base: boolean, doc: string, rest: Rest<boolean> = {}) {
  const parse = (value: string) =>
    value === 'true' || value === 'false' ? { value: value === 'true' } : 'is not true or false';
  return { name, base, doc, accepts: 'true or false', parse, ...rest } satisfies Variable<boolean>;
}

const ADDRESS = /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):\d{1,5}$/;
const address = 'host:port';
const TOPIC = /^[a-zA-Z0-9._-]{1,249}$/;
const topicName = 'a topic name (letters, digits, dot, underscore, hyphen; at most 249)';

export const variables = {
  profile: choice('PROFILE', 'embedded', PROFILES, 'Which set of defaults is used; see services/README.md.', {
    heading: 'Profile and embedded parts',
  }),
  dataDir: text(
    'DATA_DIR',
    '.data',
    'Folder of the embedded PostgreSQL (embedded profile only). It may be a link; in it no link is followed.',
  ),
  embeddedPostgresPort: integer(
    'EMBEDDED_POSTGRES_PORT',
    54329,
    [0, 65535],
    'Port of the embedded PostgreSQL; 0 picks a free one.',
  ),
  embeddedRegistryPort: integer(
    'EMBEDDED_REGISTRY_PORT',
    0,
    [0, 65535],
    'Port of the in-process schema registry; 0 picks a free one.',
  ),

  databaseUrl: matching(
    'DATABASE_URL',
    '',
    /^(postgres(ql)?:\/\/\S+)?$/,
    'a postgres:// URL',
    'PostgreSQL; deploy/SECURITY.md says what it may say of TLS. As a file it is read again for each connection. In the embedded profile it replaces the embedded one.',
    {
      heading: 'PostgreSQL',
      byProfile: { dev: 'postgres://ssom:ssom@localhost:5432/ssom' },
      spring: 'spring.datasource.url',
      secret: true,
    },
  ),
  databasePoolMax: integer(
    'DATABASE_POOL_MAX',
    8,
    [3, 200],
    'Connections to PostgreSQL that one process may hold: one for readiness and locks, three of eight for bulk work, the rest for all else.',
    {
      byProfile: { embedded: 12 },
      spring: 'spring.datasource.hikari.maximum-pool-size',
    },
  ),
  databaseAcquireTimeoutMs: integer(
    'DATABASE_ACQUIRE_TIMEOUT_MS',
    3000,
    [100, 60_000],
    'How long a caller waits for a free connection.',
  ),
  databaseStatementTimeoutMs: integer(
    'DATABASE_STATEMENT_TIMEOUT_MS',
    10_000,
    [100, 600_000],
    'PostgreSQL ends a statement that takes longer.',
  ),

  kafkaBootstrapServers: matching(
    'KAFKA_BOOTSTRAP_SERVERS',
    '',
    /^([^\s,:]+:\d{1,5})?(,[^\s,:]+:\d{1,5})*$/,
    'host:port[,host:port…]',
    'Kafka brokers. In the embedded profile it replaces the in-process broker.',
    {
      heading: 'Kafka: brokers',
      byProfile: { dev: 'localhost:9092', prod: 'kafka-cluster:9092' },
      spring: 'spring.kafka.bootstrap-servers',
      librdkafka: 'bootstrap.servers',
    },
  ),
  kafkaSecurityProtocol: choice(
    'KAFKA_SECURITY_PROTOCOL',
    'PLAINTEXT',
    ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'],
    'How brokers are spoken to.',
    {
      spring: 'spring.kafka.security.protocol',
      librdkafka: 'security.protocol',
    },
  ),
  kafkaSaslMechanism: choice(
    'KAFKA_SASL_MECHANISM',
    'SCRAM-SHA-512',
    ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'],
    'Used with SASL_*. OAUTHBEARER needs a token: from an endpoint, or from a file.',
    {
      librdkafka: 'sasl.mechanism',
    },
  ),
  kafkaSaslUsername: text('KAFKA_SASL_USERNAME', '', 'Used with PLAIN and SCRAM.', { librdkafka: 'sasl.username' }),
  kafkaSaslPassword: text(
    'KAFKA_SASL_PASSWORD',
    '',
    'Used with PLAIN and SCRAM. As a file it is read again for each new client; one that is refused is replaced.',
    { librdkafka: 'sasl.password', secret: true },
  ),
  kafkaOauthTokenEndpointUrl: matching(
    'KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL',
    '',
    /^(https?:\/\/\S+)?$/,
    'an http:// or https:// URL',
    'OAUTHBEARER: where tokens are asked for (client credentials, RFC 6749), anew when four fifths of their time are over.',
    { librdkafka: 'sasl.oauthbearer.token.endpoint.url' },
  ),
  kafkaOauthClientId: text('KAFKA_SASL_OAUTHBEARER_CLIENT_ID', '', 'OAUTHBEARER: who asks for tokens.', {
    librdkafka: 'sasl.oauthbearer.client.id',
  }),
  kafkaOauthClientSecret: text(
    'KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET',
    '',
    'OAUTHBEARER: its secret; a file is read again as the password is.',
    { librdkafka: 'sasl.oauthbearer.client.secret', secret: true },
  ),
  kafkaOauthScope: text('KAFKA_SASL_OAUTHBEARER_SCOPE', '', 'OAUTHBEARER: the scope that is asked for; empty: none.', {
    librdkafka: 'sasl.oauthbearer.scope',
  }),
  kafkaOauthCaLocation: text(
    'KAFKA_SASL_OAUTHBEARER_CA_LOCATION',
    '',
    "OAUTHBEARER: PEM file of the endpoint's certificate authority; empty: the system's.",
    { librdkafka: 'https.ca.location' },
  ),
  kafkaOauthTokenFile: text(
    'KAFKA_SASL_OAUTHBEARER_TOKEN_FILE',
    '',
    'OAUTHBEARER: the file with the token (a JWT with `exp`), instead of an endpoint. It is read again before its time is over, as tokens of Kubernetes need it.',
  ),
  kafkaSslCaLocation: text(
    'KAFKA_SSL_CA_LOCATION',
    '',
    "PEM file of the brokers' certificate authority, or a folder of such files as `openssl rehash` names them; empty: " +
      "the system's. The broker's host is always verified.",
    {
      librdkafka: 'ssl.ca.location',
    },
  ),
  kafkaSslCertificateLocation: text(
    'KAFKA_SSL_CERTIFICATE_LOCATION',
    '',
    'PEM file with the certificate by which brokers know this role (mTLS).',
    { librdkafka: 'ssl.certificate.location' },
  ),
  kafkaSslKeyLocation: text('KAFKA_SSL_KEY_LOCATION', '', "PEM file with the certificate's key.", {
    librdkafka: 'ssl.key.location',
  }),
  kafkaSslKeyPassword: text('KAFKA_SSL_KEY_PASSWORD', '', 'Of an encrypted key.', {
    librdkafka: 'ssl.key.password',
    secret: true,
  }),
  topicAlertCreated: matching(
    'KAFKA_TOPIC_ALERT_CREATED',
    'alert-created-topic',
    TOPIC,
    topicName,
    'A whole alert for each CreateAlert; 3 partitions, key alertId.',
    { heading: 'Kafka: topics', spring: 'alert.kafka.topics.alert-created' },
  ),
  topicUserAlert: matching(
    'KAFKA_TOPIC_USER_ALERT',
    'user-alert-topic',
    TOPIC,
    topicName,
    'One small record for each alert and recipient; 10 partitions, key userId.',
    {
      spring: 'alert.kafka.topics.user-alert',
    },
  ),
  topicInboxChange: matching(
    'KAFKA_TOPIC_INBOX_CHANGE',
    'inbox-change-topic',
    TOPIC,
    topicName,
    "What changed in a user's inbox; 10 partitions, key userId, retention 1 day.",
  ),
  producerAcks: choice(
    'KAFKA_PRODUCER_ACKS',
    'all',
    ['all'],
    'Only `all`: with 1 a dying leader loses acknowledged records.',
    { heading: 'Kafka: producers', spring: 'spring.kafka.producer.acks', librdkafka: 'acks' },
  ),
  producerRetries: integer(
    'KAFKA_PRODUCER_RETRIES',
    3,
    [1, 1_000_000],
    'Retries of one produce request; in order and without duplicates (idempotent producer).',
    {
      byProfile: { prod: 10 },
      spring: 'spring.kafka.producer.retries',
      librdkafka: 'retries',
    },
  ),
  producerBatchSize: integer(
    'KAFKA_PRODUCER_BATCH_SIZE',
    16_384,
    [1, 2_147_483_647],
    'Bytes of one produce batch; where many records are published at once at least 131072.',
    {
      spring: 'spring.kafka.producer.batch-size',
      librdkafka: 'batch.size',
    },
  ),
  producerLingerMs: integer(
    'KAFKA_PRODUCER_LINGER_MS',
    0,
    [0, 900_000],
    'How long a record waits for others; one of many that are published at once at least 5 ms.',
    {
      spring: 'spring.kafka.producer.linger-ms',
      librdkafka: 'linger.ms',
    },
  ),
  producerBufferMemory: integer(
    'KAFKA_PRODUCER_BUFFER_MEMORY',
    33_554_432,
    [1024, 2_147_483_647],
    'Bytes of records that wait in the producer; when it is full, publishers wait.',
    {
      spring: 'spring.kafka.producer.buffer-memory',
      librdkafka: 'queue.buffering.max.kbytes',
    },
  ),
  producerCompressionType: choice(
    'KAFKA_PRODUCER_COMPRESSION_TYPE',
    'lz4',
    ['none', 'gzip', 'snappy', 'lz4', 'zstd'],
    'Compression of a batch.',
    {
      spring: 'spring.kafka.producer.compression-type',
      librdkafka: 'compression.type',
    },
  ),
  kafkaSocketTimeoutMs: integer(
    'KAFKA_SOCKET_TIMEOUT_MS',
    10_000,
    [2000, 300_000],
    'How long a request to a broker may go unanswered before its connection counts as dead and is replaced.',
    { librdkafka: 'socket.timeout.ms' },
  ),
  producerRequestTimeoutMs: integer(
    'KAFKA_PRODUCER_REQUEST_TIMEOUT_MS',
    30_000,
    [1, 900_000],
    'How long a broker may take to answer.',
    {
      spring: 'spring.kafka.producer.request-timeout-ms',
      librdkafka: 'request.timeout.ms',
    },
  ),
  producerDeliveryTimeoutMs: integer(
    'KAFKA_PRODUCER_DELIVERY_TIMEOUT_MS',
    120_000,
    [1, 2_147_483_647],
    'After this a record that was not acknowledged has failed.',
    {
      spring: 'spring.kafka.producer.delivery-timeout-ms',
      librdkafka: 'message.timeout.ms',
    },
  ),
  consumerGroup: matching(
    'KAFKA_CONSUMER_GROUP',
    'ssom-alert-consumer',
    TOPIC,
    'a group name',
    'Consumer group of delivery; `-fanout` and `-push` are appended for those two, `-broadcast` for the gateways, which join no group.',
    {
      heading: 'Kafka: consumers',
      byProfile: { dev: 'ssom-alert-consumer-dev' },
      spring: 'spring.kafka.consumer.group-id',
      librdkafka: 'group.id',
    },
  ),
  consumerAutoOffsetReset: choice(
    'KAFKA_CONSUMER_AUTO_OFFSET_RESET',
    'earliest',
    ['earliest'],
    'Only `earliest`: with `latest` a new group would skip alerts.',
    {
      spring: 'spring.kafka.consumer.auto-offset-reset',
      librdkafka: 'auto.offset.reset',
    },
  ),
  consumerEnableAutoCommit: choice(
    'KAFKA_CONSUMER_ENABLE_AUTO_COMMIT',
    'false',
    ['false'],
    'Only `false`: an offset is committed when its batch is done.',
    {
      spring: 'spring.kafka.consumer.enable-auto-commit',
      librdkafka: 'enable.auto.commit',
    },
  ),
  consumerMaxPollRecords: integer(
    'KAFKA_CONSUMER_MAX_POLL_RECORDS',
    1000,
    [1, 10_000],
    'Most records that one poll hands over; stream-gateways, which only hand them on, take up to 4,000.',
    {
      spring: 'spring.kafka.consumer.max-poll-records',
    },
  ),
  consumerFetchMinBytes: integer(
    'KAFKA_CONSUMER_FETCH_MIN_SIZE',
    1,
    [1, 100_000_000],
    'A broker answers a fetch when it has this many bytes.',
    {
      spring: 'spring.kafka.consumer.fetch-min-size',
      librdkafka: 'fetch.min.bytes',
    },
  ),
  consumerSessionTimeoutMs: integer(
    'KAFKA_CONSUMER_SESSION_TIMEOUT_MS',
    30_000,
    [1000, 3_600_000],
    'A silent consumer loses its partitions after this.',
    {
      spring: 'spring.kafka.consumer.session-timeout',
      librdkafka: 'session.timeout.ms',
    },
  ),
  consumerHeartbeatIntervalMs: integer(
    'KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS',
    3000,
    [100, 3_600_000],
    'How often a consumer says that it lives.',
    {
      spring: 'spring.kafka.consumer.heartbeat-interval',
      librdkafka: 'heartbeat.interval.ms',
    },
  ),
  consumerStallMs: integer(
    'KAFKA_CONSUMER_STALL_MS',
    20_000,
    [1000, 3_600_000],
    'A consumer that leaves records of a partition where they are for this long, although it is asked, is replaced.',
  ),
  listenerConcurrency: integer(
    'KAFKA_LISTENER_CONCURRENCY',
    10,
    [1, 1000],
    'Alerts to more than 2,000 recipients that one fan-out instance works on at once, in interleaved slices.',
    {
      spring: 'spring.kafka.listener.concurrency',
    },
  ),
  processingBatchSize: integer(
    'ALERT_PROCESSING_BATCH_SIZE',
    1000,
    [1, 10_000],
    'Most records of one delivery transaction.',
    { heading: 'Processing of records', spring: 'alert.kafka.processing.batch-size' },
  ),
  processingTimeoutMs: integer(
    'ALERT_PROCESSING_TIMEOUT_MS',
    30_000,
    [100, 3_600_000],
    'An attempt at a batch that takes longer is logged, and its end is awaited.',
    {
      byProfile: { prod: 60_000 },
      spring: 'alert.kafka.processing.timeout-ms',
    },
  ),
  processingAttempts: integer(
    'ALERT_PROCESSING_MAX_RETRY_ATTEMPTS',
    3,
    [1, 100],
    'How often a batch is tried before it is divided, and how often one record may fail alone while others succeed before it goes to the dead letters.',
    {
      byProfile: { dev: 1, prod: 5 },
      spring: 'alert.kafka.processing.max-retry-attempts',
    },
  ),
  slowProcessingMs: integer(
    'ALERT_MONITORING_SLOW_PROCESSING_MS',
    5000,
    [1, 3_600_000],
    'Whatever is processed for longer is logged as slow, and counted.',
    { heading: 'Monitoring', spring: 'alert.kafka.monitoring.alert-slow-processing-ms' },
  ),
  maxAcceptableLag: integer(
    'ALERT_MONITORING_MAX_ACCEPTABLE_LAG',
    1000,
    [1, 1_000_000_000],
    'A consumer whose lag on a partition is larger logs it, once a minute.',
    {
      spring: 'alert.kafka.monitoring.max-acceptable-lag',
    },
  ),
  selfAlerts: flag(
    'ALERT_MONITORING_SELF_ALERTS',
    false,
    'Whether slow processing and a large lag also raise an alert to the department OPERATION.',
  ),
  selfAlertPeriodMs: integer(
    'ALERT_MONITORING_SELF_ALERT_PERIOD_MS',
    600_000,
    [1000, 86_400_000],
    'One such alert for each cause in this time, all processes together.',
  ),
  selfAlertAddress: matching(
    'ALERT_MONITORING_SELF_ALERT_ADDRESS',
    '127.0.0.1:50051',
    new RegExp(ADDRESS.source),
    address,
    'alert-api, by gRPC, to which those alerts go; standalone without TLS raises them at itself.',
  ),
  selfAlertCaFile: text(
    'ALERT_MONITORING_SELF_ALERT_CA_FILE',
    '',
    "PEM: the authorities that alert-api's certificate is trusted by, or `system` for those that Node trusts; empty: it is called without TLS.",
  ),
  selfAlertTokenFile: text(
    'ALERT_MONITORING_SELF_ALERT_TOKEN_FILE',
    '',
    'With AUTH_MODE=jwt: the file with the signed token for those alerts, of a service with the scope alerts:create. It is read again for each.',
  ),
  selfAlertCertFile: text(
    'ALERT_MONITORING_SELF_ALERT_CERT_FILE',
    '',
    'PEM: the certificate that those alerts are sent with (mTLS), read again for each; without a token file its line in GRPC_TLS_IDENTITIES_FILE must name the service ssom-alert.',
  ),
  selfAlertKeyFile: text('ALERT_MONITORING_SELF_ALERT_KEY_FILE', '', "PEM: that certificate's key."),
  enableMetrics: flag('ALERT_MONITORING_ENABLE_METRICS', true, 'Whether /metrics is served.', {
    spring: 'alert.kafka.monitoring.enable-metrics',
  }),
  logProcessingTime: flag(
    'ALERT_MONITORING_LOG_PROCESSING_TIME',
    true,
    'Whether each batch is logged with its time, at level debug.',
    {
      spring: 'alert.kafka.monitoring.log-processing-time',
    },
  ),

  schemaRegistryUrl: matching(
    'SCHEMA_REGISTRY_URL',
    '',
    /^(https?:\/\/[^\s,]+(\s*,\s*https?:\/\/[^\s,]+)*)?$/,
    'an http:// or https:// URL, or several, separated by commas',
    "The registry's Confluent API. Of several servers of one registry the one that answered last is asked first, and the next ones while it is away. In the embedded profile it replaces the in-process one.",
    {
      heading: 'Schema registry',
      byProfile: { dev: 'http://localhost:8081/apis/ccompat/v7' },
      spring: 'spring.kafka.properties.schema.registry.url',
    },
  ),
  schemaRegistryUsername: text('SCHEMA_REGISTRY_USERNAME', '', 'Basic auth; empty: none.'),
  schemaRegistryPassword: text('SCHEMA_REGISTRY_PASSWORD', '', 'Basic auth.', { secret: true }),
  schemaRegistryToken: text(
    'SCHEMA_REGISTRY_TOKEN',
    '',
    'A bearer token, instead of basic auth; empty: none. As a file it is read for each request.',
    { secret: true },
  ),
  schemaRegistryCaFile: text(
    'SCHEMA_REGISTRY_CA_FILE',
    '',
    'PEM: the authorities that an https:// registry must have a certificate of; empty: those that Node believes. It and the next two are read again for each request.',
  ),
  schemaRegistryCertFile: text(
    'SCHEMA_REGISTRY_CERT_FILE',
    '',
    'PEM: our certificate, for a registry that asks for one; empty: none.',
  ),
  schemaRegistryKeyFile: text('SCHEMA_REGISTRY_KEY_FILE', '', "PEM: the certificate's key."),
  schemaRegistryCacheDir: text(
    'SCHEMA_REGISTRY_CACHE_DIR',
    '',
    'Folder in which schemas of the registry are kept, so that a role starts and reads while it is away; empty: none are. Roles of one registry may share it.',
  ),
  schemaRegistryCheckIntervalMs: integer(
    'SCHEMA_REGISTRY_CHECK_INTERVAL_MS',
    30_000,
    [100, 3_600_000],
    "How often a role compares the schema ids that it writes with the registry's, which may have been lost or restored.",
  ),
  schemaWriteVersions: matching(
    'SCHEMA_WRITE_VERSIONS',
    '',
    /^([a-zA-Z0-9._-]+-value:[1-9]\d*(,|$))*$/,
    'pairs of a folder below schemas/ and a version, such as alert-created-topic-value:4,user-alert-topic-value:2',
    'Versions to write instead of the newest ones, by folder: an earlier one, or one that changes a meaning, once every reader knows it (schemas/README.md). Empty: the newest whose meaning did not change.',
  ),

  setUpAtStart: flag(
    'SET_UP_AT_START',
    true,
    'Whether a role migrates the database and registers the schemas when it starts. In prod `ssom-alert migrate` does, at deploy.',
    { heading: 'Set-up at the start', byProfile: { prod: false } },
  ),

  grpcListen: matching(
    'GRPC_LISTEN',
    '',
    new RegExp(`^$|${ADDRESS.source}`),
    address,
    'Where gRPC is served; empty: 127.0.0.1:50051, stream-gateway 127.0.0.1:50052. Port 0 picks a free one.',
    { heading: 'Ports, calls and identity', spring: 'server.port' },
  ),
  httpListen: matching(
    'HTTP_LISTEN',
    '',
    new RegExp(`^$|${ADDRESS.source}`),
    address,
    'Where /livez, /readyz and /metrics are served; empty: 127.0.0.1:9464 and up, one a role. Port 0 picks a free one.',
    {
      spring: 'management.server.port',
    },
  ),
  grpcMaxMessageBytes: integer('GRPC_MAX_MESSAGE_BYTES', 1_048_576, [1024, 16_777_216], 'A larger request is refused.'),
  grpcConnectionsMax: integer(
    'GRPC_CONNECTIONS_MAX',
    25_000,
    [1, 1_000_000],
    'Connections that one process takes; one more is closed at once. A gateway whose streams have connections of their own needs STREAMS_MAX of them.',
  ),
  grpcConnectionsPerAddressMax: integer(
    'GRPC_CONNECTIONS_PER_ADDRESS_MAX',
    0,
    [0, 1_000_000],
    'Connections that one process takes from one address; one more is closed at once. 0: as many as there are in all, since behind a balancer all have its address.',
  ),
  grpcCallsPerConnectionMax: integer(
    'GRPC_CALLS_PER_CONNECTION_MAX',
    5000,
    [1, 1_000_000],
    'Calls and streams at once on one connection; a client keeps more waiting. Who holds the streams of many users on one connection needs as many.',
  ),
  callsPerCallerMax: integer(
    'CALLS_PER_CALLER_MAX',
    2500,
    [1, 1_000_000],
    'Unary calls that one service has running at one process, where a batch counts as its items; one more gets RESOURCE_EXHAUSTED (TOO_MANY_CALLS).',
  ),
  callsPerUserMax: integer(
    'CALLS_PER_USER_MAX',
    50,
    [1, 1_000_000],
    'Unary calls that one user has running at one process, and calls of one caller about one inbox; one more gets RESOURCE_EXHAUSTED (TOO_MANY_CALLS).',
  ),
  callerRequestsPerS: integer(
    'CALLER_REQUESTS_PER_S',
    5000,
    [0, 1_000_000],
    'Calls and openings of streams a second that one process takes of one service, a repeated request too; one more gets RESOURCE_EXHAUSTED (RATE_LIMITED) and is told when to come again. 0: as many as come.',
  ),
  callerAlertsPerS: integer(
    'CALLER_ALERTS_PER_S',
    10_000,
    [0, 1_000_000],
    'The same of alerts that one service or user creates, by CreateAlert or in batches.',
  ),
  callerRecipientsPerS: integer(
    'CALLER_RECIPIENTS_PER_S',
    100_000,
    [0, 100_000_000],
    'The same of recipients that these alerts name; a department is one.',
  ),
  userRequestsPerS: integer('USER_REQUESTS_PER_S', 100, [0, 1_000_000], 'CALLER_REQUESTS_PER_S of one user.'),
  callerBurstS: integer(
    'CALLER_BURST_S',
    10,
    [1, 3600],
    'How many seconds of these rates a caller that has left them unused may have at once.',
  ),
  callerLimitsFile: text(
    'CALLER_LIMITS_FILE',
    '',
    'JSON with other limits for services and users by name (deploy/SECURITY.md has one); a file that is replaced is used within 10 s. Empty: all have the same.',
  ),
  grpcReflection: flag(
    'GRPC_REFLECTION',
    true,
    'Whether tools may ask, without a token, which methods and messages there are.',
    { byProfile: { prod: false } },
  ),
  authMode: choice(
    'AUTH_MODE',
    'dev',
    ['dev', 'jwt'],
    '`dev` believes the metadata x-user-id and x-caller. `jwt` believes the signed token in `authorization: Bearer`.',
    {
      byProfile: { prod: 'jwt' },
    },
  ),
  authDevRemote: choice(
    'AUTH_DEV_REMOTE',
    'refuse',
    ['refuse', 'anyone-may-be-anyone'],
    'Must be `anyone-may-be-anyone` before AUTH_MODE=dev listens beyond loopback.',
  ),
  grpcTlsCertFile: text(
    'GRPC_TLS_CERT_FILE',
    '',
    'PEM: the certificate that gRPC is encrypted with, and those between it and its authority; empty: not encrypted. A file that is replaced is used within 10 s, for new connections.',
  ),
  grpcTlsKeyFile: text('GRPC_TLS_KEY_FILE', '', "PEM: the certificate's key."),
  grpcTlsClientCaFile: text(
    'GRPC_TLS_CLIENT_CA_FILE',
    '',
    'PEM: the authorities that clients must have a certificate of (mTLS); empty: they need none.',
  ),
  grpcTlsIdentitiesFile: text(
    'GRPC_TLS_IDENTITIES_FILE',
    '',
    'With GRPC_TLS_CLIENT_CA_FILE and AUTH_MODE=jwt: JSON that says which service a certificate is (deploy/SECURITY.md has one), for calls without a token; a file that is replaced is used within 10 s. Empty: none is.',
  ),
  jwtJwks: text(
    'JWT_JWKS',
    '',
    'Where the keys are that tokens are verified with (a JSON Web Key Set): a file, or an http(s) URL.',
  ),
  jwtIssuer: text('JWT_ISSUER', '', 'Who makes the tokens (`iss`); several between commas.'),
  jwtAudience: text('JWT_AUDIENCE', '', 'For whom the tokens are made (`aud`): this service; several between commas.'),
  jwtSubjectClaim: text(
    'JWT_SUBJECT_CLAIM',
    'sub',
    'The claim that names the user or the calling service; of several between commas the first that is there. A path with dots leads into nested ones.',
  ),
  jwtScopeClaim: text(
    'JWT_SCOPE_CLAIM',
    'scope',
    'The claim with the scopes, a list or between spaces; as JWT_SUBJECT_CLAIM.',
  ),
  jwtServiceClaim: text(
    'JWT_SERVICE_CLAIM',
    'client_id=@sub',
    'What tells the tokens of services from those of users, any of: `claim`, `claim=value`, `claim=*end` and `claim=@other` (equal to another claim), between commas.',
  ),
  jwtJwksRefreshMs: integer(
    'JWT_JWKS_REFRESH_MS',
    300_000,
    [1000, 86_400_000],
    'How old the keys may get before they are asked for again. A token that names an unknown key has them asked for at once, at most every 5 s.',
  ),

  createQueueMax: integer(
    'CREATE_QUEUE_MAX',
    10_000,
    [1, 1_000_000],
    'CreateAlerts that may wait for the database in one process; one more gets RESOURCE_EXHAUSTED.',
    { heading: 'CreateAlert and the outbox' },
  ),
  createBatchMax: integer('CREATE_BATCH_MAX', 500, [1, 5000], 'Most alerts of one CreateAlert transaction.'),
  relayInFlightMax: integer(
    'RELAY_IN_FLIGHT_MAX',
    20_000,
    [1, 1_000_000],
    'Alerts that wait for Kafka in the memory of one process; more stay in the outbox for the sweeper.',
  ),
  outboxMax: integer(
    'OUTBOX_MAX',
    500_000,
    [1, 100_000_000],
    'Alerts that may wait for Kafka, all processes together; while there are more, CreateAlert answers UNAVAILABLE. Looked at each sweep, so it is passed by what a second brings.',
  ),
  outboxSweepIntervalMs: integer(
    'OUTBOX_SWEEP_INTERVAL_MS',
    1000,
    [50, 600_000],
    'How often the sweeper looks for alerts that nobody published.',
    {
      byProfile: { embedded: 500 },
    },
  ),
  outboxSweepAfterMs: integer(
    'OUTBOX_SWEEP_AFTER_MS',
    5000,
    [0, 600_000],
    'How old an unpublished alert must be before the sweeper takes it.',
    {
      byProfile: { embedded: 1000 },
    },
  ),
  fcmCredentials: text(
    'FCM_CREDENTIALS',
    '',
    "The file of a Google service account, or application-default (Google's standard places); empty: push is off.",
    { heading: 'Push' },
  ),
  fcmProjectId: text('FCM_PROJECT_ID', '', 'The Firebase project; empty: that of the credentials.'),
  fcmUrl: matching(
    'FCM_URL',
    'https://fcm.googleapis.com',
    /^https?:\/\/\S+$/,
    'an http:// or https:// URL',
    'Where FCM is. A stand-in that is named here is asked for access tokens, too.',
  ),
  pushConcurrency: integer(
    'PUSH_CONCURRENCY',
    100,
    [1, 1000],
    'Messages that one instance has on their way to FCM at once, each on a connection that is kept.',
  ),
  pushGraceMs: integer(
    'PUSH_GRACE_MS',
    10_000,
    [0, 3_600_000],
    'How long the push of an alert below ERROR waits, to be left out if it is read meanwhile, while its user holds a stream.',
  ),
  pushSweepIntervalMs: integer(
    'PUSH_SWEEP_INTERVAL_MS',
    60_000,
    [100, 3_600_000],
    'How often pushes are looked for that no record announced.',
    { byProfile: { embedded: 5000 } },
  ),
  pushDeviceMaxAgeDays: integer(
    'PUSH_DEVICE_MAX_AGE_DAYS',
    270,
    [1, 3650],
    'A device that was not registered again for so long is removed. FCM expires tokens after 270 days.',
  ),
  pushApnsCritical: choice(
    'PUSH_APNS_CRITICAL',
    'time-sensitive',
    ['time-sensitive', 'critical'],
    "How a CRITICAL alert breaks through on an iPhone: `time-sensitive` through Focus; `critical` through silent mode too, at full volume, for which the app needs Apple's entitlement for Critical Alerts.",
  ),
  pushDeviceRefusedMaxMs: integer(
    'PUSH_DEVICE_REFUSED_MAX_MS',
    21_600_000,
    [1000, 2_592_000_000],
    'A device that FCM throttles (429), or whose token or messages it refuses (INVALID_ARGUMENT), for so long, at least ten times in a row, while others of its platform are served is removed. Its app registers it again.',
  ),
  alertRetentionDays: integer(
    'ALERT_RETENTION_DAYS',
    90,
    [0, 36_500],
    'What has not changed for so long leaves the inboxes, and then the database; 0: nothing ever does.',
    { heading: 'Retention and reconciliation' },
  ),
  auditRetentionDays: integer(
    'AUDIT_RETENTION_DAYS',
    400,
    [365, 36_500],
    'The account of who did what is kept for so long, and a day more. Korean rules for electronic finance ask for a year.',
  ),
  reconcileIntervalMs: integer(
    'RECONCILE_INTERVAL_MS',
    60_000,
    [100, 3_600_000],
    'How often incomplete alerts are looked for.',
    {
      byProfile: { embedded: 5000 },
    },
  ),
  reconcileGraceMs: integer(
    'RECONCILE_GRACE_MS',
    30_000,
    [0, 3_600_000],
    'How old an alert must be before it may be called incomplete.',
    {
      byProfile: { embedded: 5000 },
    },
  ),
  streamHealIntervalMs: integer(
    'STREAM_HEAL_INTERVAL_MS',
    5000,
    [50, 600_000],
    "How often a gateway compares its streams with PostgreSQL's last numbers.",
    { heading: 'Streams' },
  ),
  streamPageSize: integer('STREAM_PAGE_SIZE', 500, [1, 5000], 'Changes that one catch-up query reads.'),
  streamBufferMax: integer(
    'STREAM_BUFFER_MAX',
    256,
    [1, 100_000],
    'Live changes kept for one stream that is catching up or slow; past it they are read from PostgreSQL.',
  ),
  streamsMax: integer(
    'STREAMS_MAX',
    20_000,
    [1, 1_000_000],
    'Streams that one gateway holds: 12 KB each, 35 KB where each has a connection of its own, which also takes an open file; one more gets RESOURCE_EXHAUSTED, and another gateway may have room.',
  ),
  streamsPerUserMax: integer(
    'STREAMS_PER_USER_MAX',
    20,
    [1, 100_000],
    'Streams that one user holds at one gateway; one more gets RESOURCE_EXHAUSTED.',
  ),
  streamsPerCallerMax: integer(
    'STREAMS_PER_CALLER_MAX',
    20_000,
    [1, 1_000_000],
    'Streams that one caller holds at one gateway, whoever they are for; one more gets RESOURCE_EXHAUSTED.',
  ),
  streamStallMs: integer(
    'STREAM_STALL_MS',
    120_000,
    [1000, 86_400_000],
    'A stream whose client has taken nothing of what waits for it for so long is ended with RESOURCE_EXHAUSTED.',
  ),
  streamMaxAgeMs: integer(
    'STREAM_MAX_AGE_MS',
    43_200_000,
    [1000, 2_592_000_000],
    'After this, less up to a tenth by chance, a stream is ended with UNAVAILABLE and resumed by its client: so streams spread over new gateways, and credentials are looked at again.',
  ),
  streamCatchUpsMax: integer('STREAM_CATCH_UPS_MAX', 4, [1, 100], 'Catch-up queries that one gateway runs at once.'),
  alertCacheMax: integer(
    'ALERT_CACHE_MAX',
    10_000,
    [10, 10_000_000],
    'Alerts whose content a gateway keeps in memory.',
  ),
  shutdownTimeoutMs: integer(
    'SHUTDOWN_TIMEOUT_MS',
    8000,
    [100, 600_000],
    'After this a shutdown is forced. `npm start` kills a service that has not ended 3 s later (if this is not set, 11 s after the signal).',
    { heading: 'Shutdown and logs', byProfile: { embedded: 4000 } },
  ),
  logLevel: choice(
    'LOG_LEVEL',
    'info',
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    'Least level that is logged.',
    {
      byProfile: { embedded: 'warn' },
    },
  ),
  logFormat: choice(
    'LOG_FORMAT',
    'auto',
    ['auto', 'json', 'pretty'],
    '`auto` is pretty on a terminal and JSON elsewhere.',
  ),
  otlpEndpoint: matching(
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    '',
    /^(https?:\/\/\S+)?$/,
    'an http:// or https:// URL',
    'Where traces go, by OTLP; empty: tracing is off and costs nothing. OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and other standard variables are read by the SDK: services/lib/telemetry/README.md.',
    { heading: 'OpenTelemetry' },
  ),
  otlpTracesEndpoint: matching(
    'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
    '',
    /^(https?:\/\/\S+)?$/,
    'an http:// or https:// URL',
    'Where traces go, if elsewhere; over HTTP with its path.',
  ),
  otlpMetricsEndpoint: matching(
    'OTEL_EXPORTER_OTLP_METRICS_ENDPOINT',
    '',
    /^(https?:\/\/\S+)?$/,
    'an http:// or https:// URL',
    'The same for metrics.',
  ),
  otlpProtocol: choice(
    'OTEL_EXPORTER_OTLP_PROTOCOL',
    'grpc',
    ['grpc', 'http/protobuf'],
    'How they go. Over HTTP `/v1/traces` and `/v1/metrics` are appended to OTEL_EXPORTER_OTLP_ENDPOINT.',
  ),
  otlpTracesProtocol: choice(
    'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL',
    '',
    ['', 'grpc', 'http/protobuf'],
    'How traces go, if otherwise.',
  ),
  otlpMetricsProtocol: choice(
    'OTEL_EXPORTER_OTLP_METRICS_PROTOCOL',
    '',
    ['', 'grpc', 'http/protobuf'],
    'The same for metrics.',
  ),
  otelSdkDisabled: flag(
    'OTEL_SDK_DISABLED',
    false,
    'Whether neither traces nor metrics go by OTLP, whatever else is set.',
  ),
  tracesExporter: choice(
    'OTEL_TRACES_EXPORTER',
    'otlp',
    ['otlp', 'none'],
    '`none`: tracing is off, also with an endpoint.',
  ),
  logsExporter: choice('OTEL_LOGS_EXPORTER', 'none', ['none'], 'Only `none`: logs go to the standard output.'),
  propagators: choice(
    'OTEL_PROPAGATORS',
    'tracecontext',
    ['tracecontext', 'tracecontext,baggage', 'baggage,tracecontext'],
    'W3C traceparents alone are read and handed along; baggage is carried nowhere.',
  ),
  tracesSampler: choice(
    'OTEL_TRACES_SAMPLER',
    'parentbased_always_on',
    [
      'parentbased_always_on',
      'parentbased_always_off',
      'parentbased_traceidratio',
      'always_on',
      'always_off',
      'traceidratio',
    ],
    'Which traces are recorded; `parentbased_`: those of callers that say so, and of the others these. What a ratio below 1 misses is in services/lib/telemetry/README.md.',
  ),
  tracesSamplerArg: fraction('OTEL_TRACES_SAMPLER_ARG', 1, 'The ratio of `traceidratio`, from 0 to 1.'),
  traceCallersMax: integer(
    'TRACE_CALLERS_MAX',
    100,
    [0, 1_000_000],
    'Traces a second that one process records because their callers say so; of what is beyond, OTEL_TRACES_SAMPLER decides as if the caller had said nothing.',
  ),
  spanQueueMax: integer(
    'OTEL_BSP_MAX_QUEUE_SIZE',
    8192,
    [1, 1_000_000],
    'Spans that wait for the collector; one more is dropped and counted.',
  ),
  spanBatchMax: integer('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 512, [1, 100_000], 'Spans of one export.'),
  spanDelayMs: integer('OTEL_BSP_SCHEDULE_DELAY', 5000, [1, 600_000], 'How long spans gather that fill no export.'),
  spanTimeoutMs: integer(
    'OTEL_BSP_EXPORT_TIMEOUT',
    30_000,
    [1, 600_000],
    'How long an export may take; afterwards its spans count as dropped.',
  ),
  metricsExporter: choice(
    'OTEL_METRICS_EXPORTER',
    'none',
    ['none', 'prometheus', 'otlp'],
    '`otlp`: metrics also go to OTEL_EXPORTER_OTLP_ENDPOINT (or _METRICS_ENDPOINT). /metrics, for Prometheus, is there in any case.',
  ),
  metricExportTimeoutMs: integer(
    'OTEL_METRIC_EXPORT_TIMEOUT',
    10_000,
    [1, 600_000],
    'How long an export of metrics may take, in milliseconds; at most OTEL_METRIC_EXPORT_INTERVAL.',
  ),
  metricExportIntervalMs: integer(
    'OTEL_METRIC_EXPORT_INTERVAL',
    60_000,
    [100, 3_600_000],
    'How often, in milliseconds.',
  ),
} as const;

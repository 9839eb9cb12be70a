/** Told to the person who waits: one line, without the component's name. */
export type Progress = (line: string) => void;

/** A message for a person: what is wrong and what to do. Everything below throws it. */
export class StackError extends Error {}

/** A background process that was started, or found running. */
export interface Daemon {
  readonly name: string;
  readonly pid: number;
  /** The ports in use; of a process found running, those that it was started with. */
  readonly ports: Readonly<Record<string, number>>;
  /** True: it was there before this call. */
  readonly alreadyRunning: boolean;
  readonly dataDir: string;
  readonly logFile: string;
  running(): Promise<boolean>;
  /** Ends it in order, after 20 s by force; does nothing when it is gone. Its data stays. */
  stop(): Promise<void>;
  /**
   * Sends a signal (SIGKILL by default, and then waits until it is gone; SIGSTOP and SIGCONT freeze and thaw it).
   * Start it again with the same `dir`, `name` and ports: the pid file it left is recognised as stale.
   */
  kill(signal?: NodeJS.Signals): Promise<void>;
}

export interface StartOptions {
  /**
   * The stack's folder: data, logs and pid files lie below it. Default: `.local` of the checkout, the one that
   * `deploy/tools/local/stack` uses. A test gives a temporary folder of its own.
   */
  dir?: string | undefined;
  /** Names the data folder, the log and the pid file; another name is another instance in the same `dir`. */
  name?: string | undefined;
  /** Jars and binaries, shared by all stacks. Default: `.local/downloads` of the checkout. */
  downloads?: string | undefined;
  /** Kill it when this process ends, so that a failed test leaves nothing behind. Default: it outlives this process. */
  killAtExit?: boolean | undefined;
  progress?: Progress | undefined;
}

/** How a component is closed to who does not belong: certificates, passwords and tokens lie in this folder. */
export interface Secure {
  folder: string;
}

/** In every `port`: 0 chooses a free one. Everything listens on 127.0.0.1 only. */
export interface KafkaOptions extends StartOptions {
  /** Default 9092. */
  port?: number | undefined;
  /** Default 9093. */
  controllerPort?: number | undefined;
  /**
   * `port` takes SASL_SSL (SCRAM-SHA-512, OAUTHBEARER), `mtlsPort` certificates, and nobody but `admin` has rights. The
   * folder has `<principal>.password`, `.token`, `.pem` and `-key.pem`, and `admin.properties` for Kafka's tools.
   */
  secure?: Secure | undefined;
  /** Default 9094; only with `secure`. */
  mtlsPort?: number | undefined;
  /** Default `-Xmx512m -Xms256m`; `-Xmx256m` also works. */
  heap?: string | undefined;
  /** Default `-XX:+UseG1GC`. */
  jvm?: string | undefined;
  /** Broker settings that replace or join the defaults. */
  settings?: Record<string, string | number | boolean> | undefined;
  /** Default 1. */
  nodeId?: number | undefined;
  /** One node of several; without it the node is a cluster of its own. See `startKafkaCluster`. */
  cluster?:
    | {
        /** Shared by all nodes. */
        id: string;
        /** controller.quorum.bootstrap.servers */
        controllers: string;
        /** What StorageTool's format says of the quorum: `['--initial-controllers', '1@host:port:dirId,...']`. */
        quorum: string[];
        /** Of the internal topics, and by default of others. */
        replicas: number;
      }
    | undefined;
}

export interface Kafka extends Daemon {
  readonly port: number;
  /** `127.0.0.1:port`; the same as `bootstrap`. */
  readonly address: string;
  readonly bootstrap: string;
  /** Of a secured one, for clients with a certificate. */
  readonly mtlsBootstrap: string | undefined;
}

/**
 * Starts Kafka (KRaft, broker and controller in one process) and waits until it has joined its cluster: 2-6 s.
 * The first call on a machine downloads it (45 MB), the first in a folder formats its storage.
 */
export function startKafka(options?: KafkaOptions): Promise<Kafka>;

type BrokerSettings = Record<string, string | number | boolean>;

export interface KafkaClusterOptions extends StartOptions {
  /** Default 3. */
  brokers?: number | undefined;
  /** Of each broker. Default `-Xmx384m -Xms128m`. */
  heap?: string | undefined;
  jvm?: string | undefined;
  /** The same for all, or made for each by its index. */
  settings?: BrokerSettings | ((index: number) => BrokerSettings) | undefined;
  /** One for each broker; default: free ones. Give those of the first start to start the same cluster again. */
  ports?: readonly { port: number; controllerPort: number }[] | undefined;
}

export interface KafkaCluster {
  /** All brokers, comma-separated. */
  readonly bootstrap: string;
  readonly brokers: readonly Kafka[];
  /** Starts broker number `index` again, after its `kill` or `stop`, in its place and on its ports. */
  restart(index: number): Promise<Kafka>;
  stop(): Promise<void>;
}

/**
 * Starts several brokers (all of them controllers too) and waits until each has joined. Names: `kafka-1`, `kafka-2`...
 */
export function startKafkaCluster(options?: KafkaClusterOptions): Promise<KafkaCluster>;

export interface BasicAuth {
  user: string;
  password: string;
}

export interface RegistryOptions extends StartOptions {
  /** Default 8081. */
  port?: number | undefined;
  /** Ask every caller for this user and password. Default: open. */
  basicAuth?: BasicAuth | undefined;
  /** TLS alone, and for everybody the user `ssom` with the password in the folder's `registry.password`. */
  secure?: Secure | undefined;
}

export interface Registry extends Daemon {
  readonly port: number;
  readonly address: string;
  /** The base URL of the API that Confluent's clients speak, e.g. `http://127.0.0.1:8081/apis/ccompat/v7`. */
  readonly url: string;
}

/** Starts Apicurio Registry, waits until it answers (3-8 s), and sets the global compatibility to FULL_TRANSITIVE. */
export function startRegistry(options?: RegistryOptions): Promise<Registry>;

export interface JaegerOptions extends StartOptions {
  /** Defaults: query 16686, otlpGrpc 4317, otlpHttp 4318. */
  ports?: { query?: number; otlpGrpc?: number; otlpHttp?: number } | undefined;
  /** Spans are taken by TLS, from who has a certificate of the folder's authority; queries stay open. */
  secure?: Secure | undefined;
}

export interface Jaeger extends Daemon {
  /** The query port. */
  readonly port: number;
  readonly address: string;
  /** Of the query API: `${url}/api/services`, `${url}/api/traces?service=...`. */
  readonly url: string;
  readonly otlpGrpcUrl: string;
  readonly otlpHttpUrl: string;
}

/**
 * Starts Jaeger; spans are kept in memory and are lost when it stops. The first call on a machine builds it (minutes).
 */
export function startJaeger(options?: JaegerOptions): Promise<Jaeger>;

export interface CollectorOptions extends StartOptions {
  /** Defaults: otlpGrpc 14317, otlpHttp 14318, metrics 8888. */
  ports?: { otlpGrpc?: number; otlpHttp?: number; metrics?: number } | undefined;
  /** Where it sends what it keeps, by OTLP over gRPC. Default `localhost:4317`. */
  exportTo?: string | undefined;
  /** Variables of deploy/otel/collector.yaml, such as COLLECTOR_DECISION_WAIT. */
  variables?: Record<string, string> | undefined;
}

export interface Collector extends Daemon {
  /** Where the roles send their spans: usable as OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly otlpGrpcUrl: string;
  readonly otlpHttpUrl: string;
  /** Its own metrics, for Prometheus. */
  readonly metricsUrl: string;
}

/** Starts the OpenTelemetry collector with the configuration of deploy/otel. It runs in Jaeger's binary. */
export function startCollector(options?: CollectorOptions): Promise<Collector>;

export interface PostgresOptions extends StartOptions {
  /** Default 5432. */
  port?: number | undefined;
  /** Of the user `ssom`, a superuser; takes effect when the data folder is new. Default `ssom`. */
  password?: string | undefined;
  /** Created when the data folder is new. Default `ssom`. */
  database?: string | undefined;
  /**
   * TLS alone, a password for everybody, and for the superuser `ssom` a certificate as well. The folder has
   * `<user>.database-url` for each user of the service, and for `admin`, the superuser.
   */
  secure?: Secure | undefined;
  /** Server settings that replace or join the defaults. fsync is on unless it is turned off here. */
  settings?: Record<string, string | number> | undefined;
  /** Added to the server's environment. */
  env?: Readonly<Record<string, string>> | undefined;
}

export interface Postgres extends Daemon {
  readonly port: number;
  readonly address: string;
  /** With user and password: usable as DATABASE_URL. */
  readonly url: string;
}

/** Starts PostgreSQL and waits until it takes connections: about 1 s, 3 s with a new data folder. */
export function startPostgres(options?: PostgresOptions): Promise<Postgres>;

export interface Topic {
  name: string;
  partitions: number;
  config?: Record<string, string | number> | undefined;
}

/** Those of a secured broker that have no rights before ACLs give them some. */
export const PRINCIPALS: readonly string[];

/** A token of the stack's issuer, which a secured broker believes unless the claims say otherwise; for a year. */
export function issuerToken(folder: string, subject: string, claims?: Record<string, unknown>): string;

/** Writes into a secured stack's folder what the service needs: `grpc.pem`, `grpc-key.pem` and `self-alerts.token`. */
export function serviceSecrets(folder: string): Promise<void>;

/** A token that the service believes with the folder's `issuer-keys.json`; default: for an hour. */
export function serviceToken(
  folder: string,
  wanted: { subject: string; scope: string; isService: boolean },
  seconds?: number,
): string;

/** The service's topics and their dead-letter topics; `env` may rename them (KAFKA_TOPIC_...). */
export function alertTopics(env?: NodeJS.ProcessEnv): Topic[];

export interface TopicOptions {
  bootstrap: string;
  /** Default: `alertTopics()`. */
  topics?: readonly Topic[] | undefined;
  /** Default 1. From 3 on, min.insync.replicas=2 is set too. */
  replicationFactor?: number | undefined;
  /** A properties file with the client's security settings, as the tools' --command-config. */
  commandConfig?: string | undefined;
  downloads?: string | undefined;
  progress?: Progress | undefined;
}

export interface TopicResult {
  name: string;
  /** What the topic has now. */
  partitions: number;
  wanted: number;
  /** differs: it exists with another number of partitions, and was left alone. */
  state: 'created' | 'exists' | 'differs';
  /** What of it is set wrongly, and what it should be; it was left alone. */
  wrong: string[];
}

/** What a topic has. */
export interface TopicFound {
  partitions: number;
  replicas: number;
  /** Those of its settings that are not Kafka's defaults. */
  config: Record<string, string>;
}

/** What of a topic is set wrongly, each with what it should be. */
export function wrongSettings(wanted: Topic, found: TopicFound, replicationFactor: number): string[];
/** Reads what kafka-topics.sh --describe prints, by topic. */
export function readDescription(text: string): Map<string, TopicFound>;

/** Creates the topics that are missing: 1 s to look, and 3 s to create all six (each is a JVM). */
export function createTopics(options: TopicOptions): Promise<TopicResult[]>;

/** The folder of Kafka's jars, fetched if need be. */
export function fetchKafka(options?: Pick<StartOptions, 'downloads' | 'progress'>): Promise<string>;
/** The registry's runnable jar, fetched if need be. */
export function fetchRegistry(options?: Pick<StartOptions, 'downloads' | 'progress'>): Promise<string>;
/** Jaeger's binary, built if need be. */
export function fetchJaeger(options?: Pick<StartOptions, 'downloads' | 'progress'>): Promise<string>;

/** Whether the process of this name runs; stale: its pid file is there but the process has died. */
export function statusOf(
  dir: string,
  name: string,
): Promise<{ pid?: number; ports?: Record<string, number>; started?: string; stale: boolean }>;

/** Stops what runs under this name in this folder, whoever started it. */
export function stopDaemon(dir: string, name: string): Promise<'stopped' | 'not running' | 'had died'>;

/** Removes the data (not the downloads, not the log) of a component that does not run. */
export function removeData(dir: string, name: string): Promise<void>;

/** Different ports of 127.0.0.1 that were free a moment ago. */
export function freePorts(count: number): Promise<number[]>;

/** PEM. */
export interface Pair {
  readonly certificate: string;
  readonly key: string;
}

/** Whom a certificate is for, beside its common name. */
export interface Names {
  readonly dns?: readonly string[];
  /** Of IPv4. */
  readonly ip?: readonly string[];
  readonly uri?: readonly string[];
}

/** When a certificate is valid, as YYYYMMDD. Default: always. */
export interface Validity {
  readonly from: string;
  readonly to: string;
}

/** What a server on this machine is called: localhost and 127.0.0.1. */
export const LOCAL_NAMES: Names;

export function createAuthority(validity?: Validity, under?: { name: string; above: Pair }): Pair;

/** @param subject its common name */
export function issueCertificate(authority: Pair, subject: string, names?: Names, validity?: Validity): Pair;

/** Paths. Keys are readable for their owner alone. */
export interface CertificateFiles {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

/**
 * `ca.pem`, `<name>.pem` and `<name>-key.pem` in a folder, made where they are missing; the name is the common name, too.
 */
export function certificateFiles(folder: string, name: string, names?: Names): Promise<CertificateFiles>;

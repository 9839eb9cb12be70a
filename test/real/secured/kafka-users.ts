import { alertTopics, issuerToken } from '#stack';
import { rightsOf } from '../../../services/events/rights.js';
import { type Config, loadConfig } from '../../../services/lib/config/load.js';
import type { Brokers } from '../../../services/lib/kafka/client-config.js';
import { type Environment, Roles } from '../../support/role-process.js';
import type { SecuredStack } from './stack.js';

/** Of these tests alone, so that they share nothing with what else runs on the stack. */
const TOPICS = {
  KAFKA_TOPIC_ALERT_CREATED: 'kafka.alert-created',
  KAFKA_TOPIC_USER_ALERT: 'kafka.user-alert',
  KAFKA_TOPIC_INBOX_CHANGE: 'kafka.inbox-change',
};
const NAMES: Environment = { PROFILE: 'dev', KAFKA_CONSUMER_GROUP: 'kafka', ...TOPICS };

/** The principals of a secured Kafka, each as a role would be configured; in dev, with a database of their own. */
export class KafkaUsers {
  readonly config: Config = loadConfig(NAMES);
  /** With those of dead letters. */
  readonly topics = alertTopics(TOPICS).map(({ name }) => name);
  readonly #roles: Roles[] = [];

  private constructor(
    readonly stack: SecuredStack,
    private readonly databaseUrl: string,
  ) {}

  static async create(stack: SecuredStack): Promise<KafkaUsers> {
    const [databaseUrl] = await Promise.all([
      stack.createDatabase('kafka'),
      stack.asAdmin.createTopics(alertTopics(TOPICS)),
    ]);
    return new KafkaUsers(stack, databaseUrl);
  }

  get #tls(): Environment {
    return { KAFKA_SSL_CA_LOCATION: this.stack.file('ca.pem') };
  }

  byPassword(user: string): Environment {
    return {
      KAFKA_SECURITY_PROTOCOL: 'SASL_SSL',
      KAFKA_SASL_USERNAME: user,
      KAFKA_SASL_PASSWORD_FILE: this.stack.file(`${user}.password`),
      ...this.#tls,
    };
  }

  byToken(user: string, file = this.stack.file(`${user}.token`)): Environment {
    return {
      KAFKA_SECURITY_PROTOCOL: 'SASL_SSL',
      KAFKA_SASL_MECHANISM: 'OAUTHBEARER',
      KAFKA_SASL_OAUTHBEARER_TOKEN_FILE: file,
      ...this.#tls,
    };
  }

  byEndpoint(user: string, url: string, secretFile: string): Environment {
    return {
      KAFKA_SECURITY_PROTOCOL: 'SASL_SSL',
      KAFKA_SASL_MECHANISM: 'OAUTHBEARER',
      KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: url,
      KAFKA_SASL_OAUTHBEARER_CLIENT_ID: user,
      KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET_FILE: secretFile,
      KAFKA_SASL_OAUTHBEARER_CA_LOCATION: this.stack.file('ca.pem'),
      ...this.#tls,
    };
  }

  byCertificate(user: string): Environment {
    return {
      KAFKA_BOOTSTRAP_SERVERS: this.stack.kafka.mtlsBootstrap!,
      KAFKA_SECURITY_PROTOCOL: 'SSL',
      KAFKA_SSL_CERTIFICATE_LOCATION: this.stack.file(`${user}.pem`),
      KAFKA_SSL_KEY_LOCATION: this.stack.file(`${user}-key.pem`),
      ...this.#tls,
    };
  }

  /** Each way is somebody's. */
  environmentOf(user: string): Environment {
    if (user === 'fanout' || user === 'push') return this.byCertificate(user);
    return user === 'delivery' || user === 'operator' ? this.byToken(user) : this.byPassword(user);
  }

  /** A token that the broker believes for so many seconds from now. */
  tokenOf(user: string, seconds: number): string {
    return issuerToken(this.stack.folder, user, { exp: Math.floor(Date.now() / 1000) + seconds });
  }

  /** As a role or a command would be configured. */
  clientOf(user: string, by: Environment = this.environmentOf(user)): { brokers: Brokers; config: Config } {
    const config = loadConfig({ ...NAMES, KAFKA_BOOTSTRAP_SERVERS: this.stack.kafka.bootstrap, ...by });
    return { brokers: { bootstrapServers: config.kafkaBootstrapServers, inProcess: false }, config };
  }

  async grantAll(...users: Parameters<typeof rightsOf>[0][]): Promise<void> {
    for (const user of users) await this.stack.asAdmin.grant(user, rightsOf(user, this.config));
  }

  /** Of roles and commands; who they are is still to be said. */
  get environment(): Environment {
    return {
      ...NAMES,
      DATABASE_URL: this.databaseUrl,
      KAFKA_BOOTSTRAP_SERVERS: this.stack.kafka.bootstrap,
      ...this.stack.registryEnvironment,
      // What makes a role notice quickly that a member of its group has gone.
      KAFKA_CONSUMER_SESSION_TIMEOUT_MS: '6000',
      KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS: '1000',
    };
  }

  /** Roles that end with the tests at the latest. */
  roles(): Roles {
    const roles = new Roles(this.environment);
    this.#roles.push(roles);
    return roles;
  }

  async close(): Promise<void> {
    await Promise.all(this.#roles.map((roles) => roles.stop()));
  }
}

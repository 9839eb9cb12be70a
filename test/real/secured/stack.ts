import { join } from 'node:path';
import pg from 'pg';
import {
  certificateFiles,
  type Jaeger,
  type Kafka,
  type Postgres,
  type Registry,
  serviceSecrets,
  startJaeger,
  startKafka,
  startPostgres,
  startRegistry,
} from '#stack';
import { KafkaProtocol } from '../../support/kafka-protocol.js';
import type { Environment } from '../../support/role-process.js';
import { privateStart, stackFolder } from '../../support/stack.js';

/** Who has been let in is asked again so often. */
const REAUTHENTICATION_MS = 2000;

/** The real stack as it lets nobody in; started once for all tests that need one. */
export class SecuredStack {
  kafka!: Kafka;
  postgres!: Postgres;
  registry!: Registry;
  jaeger!: Jaeger;
  readonly #place = stackFolder();
  /** Of the secrets of everybody. */
  readonly folder = join(this.#place.path, 'secure');

  static async start(): Promise<SecuredStack> {
    const stack = new SecuredStack();
    try {
      await stack.#start();
      return stack;
    } catch (error) {
      await stack.stop();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const { folder } = this;
    const options = { ...privateStart(this.#place.path), port: 0, secure: { folder } };
    // What several of them would make is made before: the authority, and the administrator's certificate.
    await certificateFiles(folder, 'admin');
    const settings = {
      'connections.max.reauth.ms': REAUTHENTICATION_MS,
      'listener.name.sasl_ssl.oauthbearer.sasl.oauthbearer.clock.skew.seconds': 0,
    };
    const kafka = startKafka({ ...options, controllerPort: 0, mtlsPort: 0, heap: '-Xmx256m', settings });
    const started = await Promise.allSettled([
      kafka.then((each) => (this.kafka = each)),
      startPostgres(options).then((each) => (this.postgres = each)),
      startRegistry(options).then((each) => (this.registry = each)),
      startJaeger({ ...options, ports: { query: 0, otlpGrpc: 0, otlpHttp: 0 } }).then((each) => (this.jaeger = each)),
    ]);
    const failed = started.find((each) => each.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    await serviceSecrets(folder);
  }

  file(name: string): string {
    return join(this.folder, name);
  }

  get asAdmin(): KafkaProtocol {
    return this.kafkaAs('admin');
  }

  kafkaAs(user: string): KafkaProtocol {
    return new KafkaProtocol(this.kafka, this.folder, user);
  }

  /** Where the registry is, and how it lets us in. */
  get registryEnvironment(): Environment {
    return {
      SCHEMA_REGISTRY_URL: this.registry.url,
      SCHEMA_REGISTRY_CA_FILE: this.file('ca.pem'),
      SCHEMA_REGISTRY_USERNAME: 'ssom',
      SCHEMA_REGISTRY_PASSWORD_FILE: this.file('registry.password'),
    };
  }

  /** @returns the URL of a new database, with which its owner gets in */
  async createDatabase(name: string): Promise<string> {
    const client = new pg.Client({ connectionString: this.postgres.url });
    await client.connect();
    try {
      await client.query(`CREATE DATABASE ${name}`);
    } finally {
      await client.end();
    }
    const url = new URL(this.postgres.url);
    url.pathname = `/${name}`;
    return url.href;
  }

  async stop(): Promise<void> {
    // Of a start that failed some are missing.
    await Promise.all([this.kafka?.stop(), this.postgres?.stop(), this.registry?.stop(), this.jaeger?.stop()]);
    this.#place.remove();
  }
}

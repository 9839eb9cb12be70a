import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { TestContext } from 'node:test';
import type { ServerCredentials } from '@grpc/grpc-js';
import { pino } from 'pino';
import type { RoleName } from '../../services/domain/role-names.js';
import { registerSchemas } from '../../services/events/schemas/register.js';
import { ROLES } from '../../services/launch/roles.js';
import { startEmbeddedBackends } from '../../services/launch/standalone.js';
import { type Config, loadConfig } from '../../services/lib/config/load.js';
import { Consumer, type IncomingRecord } from '../../services/lib/kafka/consumer.js';
import { type OutgoingRecord, type Producer, PublishFailed } from '../../services/lib/kafka/producer.js';
import { describeError, silentLogger } from '../../services/lib/logging.js';
import { RegistryClient, registryOptions } from '../../services/lib/registry/client.js';
import { type Backends, Runtime } from '../../services/runtime/runtime.js';
import type { DatabaseUser } from '../../services/store/grants.js';
import { connectApi, type TestApi } from './api.js';
import { defer } from './defer.js';
import { createTestDatabase, type TestDatabase, urlOf } from './postgres.js';
import { patience, patientDatabase, untilTrue } from './until-true.js';

/*
 * The roles in this process, each with a runtime of its own as in production, on a broker and a registry of the test's
 * and on a fresh database: for tests that interfere with a role, above all with what it publishes.
 */

/** Settings with which nothing that heals takes long. */
const FAST = {
  RECONCILE_INTERVAL_MS: '300',
  RECONCILE_GRACE_MS: '300',
  OUTBOX_SWEEP_INTERVAL_MS: '100',
  OUTBOX_SWEEP_AFTER_MS: '300',
  STREAM_HEAL_INTERVAL_MS: '300',
};

/** Called for each publish instead of it; `publish` is the real one, for all records or for some. */
export type PublishFault = (
  records: readonly OutgoingRecord[],
  publish: (records: readonly OutgoingRecord[]) => Promise<void>,
) => Promise<void>;

/** A producer that does what `fault` says. */
export function withFault(producer: Producer, fault: PublishFault): Producer {
  const faulty = {
    get stats() {
      return producer.stats;
    },
    publish: (records: readonly OutgoingRecord[]) => fault(records, (these) => producer.publish(these)),
    publishEach: async (records: readonly OutgoingRecord[]) => {
      try {
        await fault(records, (these) => producer.publish(these));
        return records.map(() => undefined);
      } catch (error) {
        const failure = error instanceof PublishFailed ? error : new PublishFailed((error as Error).message);
        return records.map(() => failure);
      }
    },
    close: (timeoutMs?: number) => producer.close(timeoutMs),
  };
  return faulty as unknown as Producer;
}

export interface RunningRole {
  readonly runtime: Runtime;
  /** Ends it as SIGTERM would; resolves when everything of it is closed. */
  stop(): Promise<void>;
}

export class TestCluster {
  constructor(
    private readonly t: TestContext,
    readonly config: Config,
    readonly backends: Backends,
    readonly store: TestDatabase,
  ) {}

  /**
   * Runs one role. With `fault` its producer is replaced; `address` is of its gRPC, `http` of its /metrics, `logged`
   * its log so far from info on. `as`: the user of PostgreSQL, where it does what another role does.
   */
  async start(
    name: RoleName,
    options: {
      fault?: PublishFault;
      config?: Partial<Config>;
      ready?: boolean;
      tls?: ServerCredentials;
      as?: DatabaseUser;
    } = {},
  ): Promise<RunningRole & { address: string; http: string; logged: () => string }> {
    let log = '';
    const logger = pino({ serializers: { err: describeError } }, { write: (line: string) => void (log += line) });
    const role = ROLES[name];
    const { fault, as = name } = options;
    const config = { ...this.config, ...options.config };
    const { databaseUrl } = this.backends;
    // As in production: the user of this role, who may do what it does and nothing else, and makes no tables.
    const backends = { ...this.backends, databaseUrl: config.setUpAtStart ? databaseUrl : urlOf(databaseUrl, as) };
    const runtime = await Runtime.create(config, name, backends, {
      logger,
      optional: role.optional ?? [],
      ...(fault === undefined ? {} : { wrapProducer: (producer) => withFault(producer, fault) }),
    });
    const service = role.create(runtime, { brokerIsNew: false });
    const port = await runtime.grpc.listen('127.0.0.1:0', options.tls);
    const { address: http } = await runtime.serveHttp('127.0.0.1:0');
    const controller = new AbortController();
    setMaxListeners(100, controller.signal); // as services/launch/run.ts does
    const running = service.run(controller.signal).catch((error: unknown) => {
      if (!controller.signal.aborted) throw error;
    });
    let stopping: Promise<void> | undefined;
    const stop = () => {
      stopping ??= (async () => {
        controller.abort(new Error('the test ends it'));
        await running;
        await service.close();
        await runtime.grpc.shutdown(500, () => runtime.database.endStatements());
        await runtime.close();
      })();
      return stopping;
    };
    defer(this.t, stop);
    if (options.ready !== false) await runtime.whenReady(AbortSignal.timeout(patience(20_000)));
    return { runtime, stop, http, address: `127.0.0.1:${port}`, logged: () => log };
  }

  api(role: { address: string }): TestApi {
    return connectApi(this.t, role.address);
  }

  /** The first `count` records of a topic, tombstones left out; waits until there are as many. */
  async read(topic: string, count: number): Promise<IncomingRecord[]> {
    const groupId = `test-reader-${randomUUID()}`;
    const consumer = await Consumer.subscribe(this.backends.brokers, this.config, silentLogger(), [topic], {
      clientId: 'test-reader',
      groupId,
    });
    defer(this.t, () => consumer.close());
    const records: IncomingRecord[] = [];
    await untilTrue(
      async () => {
        records.push(...(await consumer.poll(1000, 100)).filter(({ value }) => value !== null));
        return records.length >= count;
      },
      { what: `${count} records in ${topic}` },
    );
    return records;
  }
}

/** A broker, a registry and a fresh database; roles are started on it one by one. */
export async function startTestCluster(
  t: TestContext,
  env: Readonly<Record<string, string>> = {},
): Promise<TestCluster> {
  const store = await createTestDatabase(t);
  // As `ssom-alert migrate` does: the roles may make no tables.
  const own = { DATABASE_URL: store.url, SET_UP_AT_START: 'false', SHUTDOWN_TIMEOUT_MS: '2000' };
  const config = loadConfig({ ...FAST, ...patientDatabase(), ...own, ...env });
  const embedded = await startEmbeddedBackends(config, silentLogger());
  defer(t, () => embedded.close());
  if (!config.setUpAtStart) await setUpRegistry(embedded.backends.registryUrl, config);
  return new TestCluster(t, config, embedded.backends, store);
}

async function setUpRegistry(url: string, config: Config): Promise<void> {
  const registry = new RegistryClient(registryOptions(url, config, silentLogger()), silentLogger());
  await registerSchemas(config, registry);
  registry.breaker.close();
}

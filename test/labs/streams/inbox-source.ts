import { type Events, openEvents } from '../../../services/events/events.js';
import { inboxChangeRecords } from '../../../services/events/inbox-records.js';
import { alertCreatedRecord, createdAlert } from '../../../services/events/records.js';
import { loadConfig } from '../../../services/lib/config/load.js';
import { Producer } from '../../../services/lib/kafka/producer.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { RegistryClient } from '../../../services/lib/registry/client.js';
import type { Bench } from '../frame/bench.js';
import type { Deployment } from '../frame/deployment.js';
import { databaseOf } from './deployment.js';

const MESSAGE = 'The 99th percentile of POST /api/transfers has been above 800 ms for five minutes. '.repeat(3);

/** Puts alerts into everybody's inbox and tells of it through Kafka, as delivery does. */
export class InboxSource {
  #sequence = 0;

  private constructor(
    private readonly producer: Producer,
    private readonly events: Events,
    private readonly bench: Bench,
    private readonly databaseUrl: string,
    private readonly users: readonly string[],
  ) {}

  static async open(deployment: Deployment, bench: Bench, users: readonly string[]): Promise<InboxSource> {
    const config = loadConfig(deployment.environment);
    const registry = new RegistryClient({ url: config.schemaRegistryUrl, username: '', password: '' }, silentLogger());
    const brokers = { bootstrapServers: config.kafkaBootstrapServers, inProcess: false };
    const producer = await Producer.connect(brokers, config, silentLogger(), { clientId: 'inbox-source' });
    return new InboxSource(producer, await openEvents(config, registry), bench, databaseOf(deployment), users);
  }

  /** One more alert in every inbox; resolves when Kafka has all records. */
  async alertToAll(): Promise<void> {
    this.#sequence += 1;
    const sequence = this.#sequence;
    const [row] = await this.bench.runSql(
      this.databaseUrl,
      `WITH alert AS (
         INSERT INTO alerts (alert_id, caller, request_id, request_hash, source_id, kind, app_name, level, title, message, labels,
                             occurred_at, created_at, directory_version, recipients_named, departments)
         VALUES (nextval('alert_ids'), 'streams', '', '', '', 'GRAFANA', 'ssok-bank-api', 3, 'fan-out', $2, '{}', now(), now(), 1,
                 true, '{}')
         RETURNING alert_id
       ), counted AS (
         UPDATE inboxes SET last_seq = $3::int, unread_count = $3::int
       ), delivered AS (
         INSERT INTO alert_statuses (user_id, alert_id, seq, created_seq, change, is_read, created_at)
         SELECT user_id, alert_id, $3::int, $3::int, 1, false, now() FROM unnest($1::text[]) AS u(user_id), alert
       )
       SELECT alert_id FROM alert`,
      [this.users, MESSAGE, sequence],
    );
    const alertId = row!['alert_id'] as number;
    const request = {
      kind: 'GRAFANA' as const,
      appName: 'ssok-bank-api',
      level: 'ERROR' as const,
      title: 'fan-out',
      message: MESSAGE,
      sourceId: '',
      labels: {},
      occurredAt: Date.now(),
    };
    const stored = { alertId, createdAt: Date.now(), directoryVersion: 1, namedRecipients: null };
    const alert = createdAlert(request as never, stored);
    await this.producer.publish([alertCreatedRecord(this.events, alert, undefined)]);
    await this.tell(this.users, alertId, sequence);
  }

  /** A record for each user: one more alert in the inbox. */
  async tell(users: readonly string[], alertId: number, sequence: number): Promise<void> {
    const changes = [{ alertId, sequence, change: 'CREATED' as const, isRead: false }];
    const inboxes = users.map((userId) => ({
      userId,
      lastSequence: sequence,
      unreadCount: sequence,
      epoch: 0,
      changes,
    }));
    await this.producer.publish(inboxChangeRecords(this.events, inboxes, () => undefined));
  }

  async close(): Promise<void> {
    await this.producer.close();
  }
}

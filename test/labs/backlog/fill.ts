// Makes the backlog: records that nobody has read yet, and the rows that they are about.
import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { createClient } from '../../../services/client/client.js';
import { type Events, openEvents } from '../../../services/events/events.js';
import { userAlertRecord } from '../../../services/events/records.js';
import type { Config } from '../../../services/lib/config/load.js';
import { Producer } from '../../../services/lib/kafka/producer.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { RegistryClient } from '../../../services/lib/registry/client.js';

export const USERS = 1000;
/** Users of the directory whom no alert concerns. */
const BYSTANDERS = 50_000;
const DEPARTMENT = 'BACKLOG';
/** As long as a message may be; random, so that no compression makes it less. */
const MESSAGE_BYTES = 16_384;
/** Of large alerts, one in so many goes to the whole department; the others to two users. */
const BROADCAST_EVERY = 200;
/** Within a request's 1 MiB, with two users each. */
const ALERTS_PER_CALL = 50;
const CALLS_AT_ONCE = 4;

export const userId = (index: number) => `backlog-${String(index % USERS).padStart(4, '0')}`;

/** The users with their inboxes, by SQL. */
export async function fillDirectory(database: pg.Pool): Promise<void> {
  await database.query(
    `WITH people AS (
       SELECT 'backlog-' || lpad(n::text, 4, '0') AS user_id, $1 AS department FROM generate_series(0, $2::int - 1) n
       UNION ALL SELECT 'bystander-' || n, 'BYSTANDERS' FROM generate_series(1, $3::int) n
     ), stored AS (
       INSERT INTO users (user_id, display_name, department, github_login, active, valid_from)
       SELECT user_id, user_id, department, '', true, 1 FROM people
     )
     INSERT INTO inboxes (user_id) SELECT user_id FROM people`,
    [DEPARTMENT, USERS, BYSTANDERS],
  );
}

/** Alerts for the whole department that are fanned out already: one record for each of them and each user. */
export async function fillUserAlerts(
  config: Config,
  database: pg.Pool,
  records: number,
  progress: (done: number) => void,
): Promise<number> {
  const alerts = Math.ceil(records / USERS);
  const { rows } = await database.query<{ alert_id: string }>(
    `WITH made AS (
       INSERT INTO alerts (alert_id, caller, request_id, request_hash, source_id, kind, app_name, level, title, message, labels,
                           occurred_at, created_at, directory_version, recipients_named, departments)
       SELECT nextval('alert_ids'), 'backlog', '', '', '', 'GRAFANA', 'ssok-transfer', 3, 'backlog ' || n, 'delayed', '{}',
              now(), now(), 1, true, ARRAY[$1]
       FROM generate_series(1, $2::int) n
       RETURNING alert_id
     ), noted AS (
       INSERT INTO alert_progress (alert_id, created_at, published_at, fanned_out_at, recipients, reconcile_at)
       SELECT alert_id, now(), now(), now(), $3, now() FROM made
     )
     SELECT alert_id FROM made ORDER BY alert_id`,
    [DEPARTMENT, alerts, USERS],
  );
  const events = await openEvents(config, registryOf(config));
  const brokers = { bootstrapServers: config.kafkaBootstrapServers, inProcess: false };
  const producer = await Producer.connect(brokers, { ...config, producerLingerMs: 20 }, silentLogger(), {
    clientId: 'backlog',
  });
  try {
    let done = 0;
    for (const { alert_id } of rows) {
      await producer.publish(recordsOf(events, Number(alert_id), Math.min(USERS, records - done)));
      done += Math.min(USERS, records - done);
      if (done % (50 * USERS) === 0) progress(done);
    }
    return done;
  } finally {
    await producer.close();
  }
}

function recordsOf(events: Events, alertId: number, count: number) {
  return Array.from({ length: count }, (_, index) =>
    userAlertRecord(events, { alertId, userId: userId(index), epoch: 0 }, undefined),
  );
}

function registryOf(config: Config): RegistryClient {
  const options = { url: config.schemaRegistryUrl, username: '', password: '' };
  return new RegistryClient(options, silentLogger());
}

/**
 * Large alerts, created as callers do.
 * @returns how many rows they will be in inboxes
 */
export async function createLargeAlerts(address: string, count: number): Promise<number> {
  const client = createClient({ address, identity: { caller: 'backlog' } });
  let next = 0;
  let rows = 0;
  const request = (index: number) => {
    const broadcast = index % BROADCAST_EVERY === 0;
    rows += broadcast ? USERS : 2;
    return {
      kind: 'ALERT_KIND_OPENSEARCH' as const,
      level: 'ALERT_LEVEL_ERROR' as const,
      appName: 'ssok-transfer',
      title: `large ${index}`,
      message: randomBytes((MESSAGE_BYTES * 3) / 4).toString('base64'),
      recipients: broadcast ? { departments: [DEPARTMENT] } : { userIds: [userId(index), userId(index + 1)] },
    };
  };
  const caller = async () => {
    while (next < count) {
      const from = next;
      next = Math.min(count, from + ALERTS_PER_CALL);
      const requests = Array.from({ length: next - from }, (_, index) => request(from + index));
      const { results } = await client.batchCreateAlerts({ requests }, { timeoutMs: 60_000 });
      const failed = results.find(({ response }) => !response?.alert);
      if (failed !== undefined) throw new Error(`an alert was refused: ${failed.error?.message}`);
    }
  };
  try {
    await Promise.all(Array.from({ length: CALLS_AT_ONCE }, caller));
    return rows;
  } finally {
    client.close();
  }
}

import { levelOfRank, type AlertKind, type AlertLevel } from '../domain/alert.js';
import type { DevicePlatform } from '../domain/device.js';
import type { Queryable, Row } from '../lib/postgres.js';
import { platformOfRank } from './devices.js';

/*
 * A push delivery is one alert for one device: `waiting` until it is due, `sending` from its first claim, `sent` when FCM has
 * accepted it, `dismissed` when the device was told that it is read or deleted. It ends early as `skipped` (read, deleted,
 * or its device gone before it was sent), `expired` or `failed`. Who claims one has it until the claim ends; if its process
 * dies, somebody claims it again.
 */

export type PushState = 'waiting' | 'sending' | 'sent' | 'dismissed' | 'skipped' | 'expired' | 'failed';

/** What is due, claimed, with everything that the message is made of. */
export interface ClaimedPush {
  readonly deviceId: number;
  readonly alertId: number;
  readonly userId: string;
  /** When the claim ends, in milliseconds since 1970. It tells this claim from later ones. */
  readonly claimedUntil: number;
  /** Tries so far, this one included. */
  readonly attempts: number;
  /** How many of them failed while others succeeded. */
  readonly strikes: number;
  readonly dismiss: boolean;
  /** When it was to be sent, in milliseconds since 1970. Null: not known. */
  readonly plannedFor: number | null;
  /** Why the try before failed; null: it did not, or there was none. */
  readonly lastError: string | null;
  /** Milliseconds since 1970, by PostgreSQL's clock; `now` is when it was claimed. */
  readonly expiresAt: number;
  readonly now: number;
  /** Null: it is not there any more. */
  readonly device: { readonly token: string; readonly platform: DevicePlatform } | null;
  readonly alert: PushedAlert | null;
  /** Null: it is not in the inbox (any more). */
  readonly entry: { readonly sequence: number; readonly isRead: boolean; readonly isDeleted: boolean } | null;
  readonly unreadCount: number;
}

export interface PushedAlert {
  readonly kind: AlertKind;
  readonly level: AlertLevel;
  readonly appName: string;
  readonly title: string;
  /** As much of it as a push could ever hold. */
  readonly message: string;
  readonly createdAt: number;
  readonly traceparent: string | null;
}

interface ClaimedRow extends Row {
  device_id: number;
  alert_id: number;
  user_id: string;
  due_at: number;
  attempts: number;
  strikes: number;
  dismiss: boolean;
  planned_for: number | null;
  error: string | null;
  expires_at: number;
  now: number;
  token: string | null;
  platform: number | null;
  kind: AlertKind | null;
  level: number;
  app_name: string;
  title: string;
  message: string;
  created_at: number;
  traceparent: string | null;
  seq: number | null;
  is_read: boolean;
  is_deleted: boolean;
  unread_count: number | null;
}

/** @param rows SQL that locks rows and gives their ctid; by these they are found again without a plan that could be wrong. `OFFSET 0` does the same for the other tables. */
const claimSql = (rows: string) => `
  WITH claimed AS (
    UPDATE push_deliveries p SET
      due_at = date_trunc('milliseconds', now()) + $2 * interval '1 ms', attempts = p.attempts + 1,
      state = CASE p.state WHEN 'waiting' THEN 'sending' ELSE p.state END
    WHERE p.ctid = ANY(ARRAY(${rows} FOR UPDATE SKIP LOCKED))
    RETURNING p.device_id, p.alert_id, p.user_id, p.due_at, p.attempts, p.strikes, p.dismiss,
              p.planned_for, p.error, p.expires_at
  )
  SELECT c.*, now() AS now, d.token, d.platform, a.kind, a.level, a.app_name, a.title, a.message, a.created_at, a.traceparent,
         s.seq, s.is_read, s.is_deleted, i.unread_count
  FROM claimed c
  LEFT JOIN LATERAL (
    SELECT token, platform FROM devices d WHERE d.device_id = c.device_id AND d.user_id = c.user_id OFFSET 0
  ) d ON true
  LEFT JOIN LATERAL (
    SELECT kind, level, app_name, title, left(message, 4096) AS message, created_at, traceparent
    FROM alerts a WHERE a.alert_id = c.alert_id OFFSET 0
  ) a ON true
  LEFT JOIN LATERAL (
    SELECT seq, is_read, deleted_at IS NOT NULL AS is_deleted
    FROM alert_statuses s WHERE s.alert_id = c.alert_id AND s.user_id = c.user_id OFFSET 0
  ) s ON true
  LEFT JOIN LATERAL (SELECT unread_count FROM inboxes i WHERE i.user_id = c.user_id OFFSET 0) i ON true`;

const CLAIM_DUE = claimSql('SELECT ctid FROM push_deliveries WHERE due_at <= now() ORDER BY due_at LIMIT $1');

/** Dismissals that are claimed at once for the devices of one statement. */
const DISMISSALS = 5000;
const CLAIM_DISMISSALS = claimSql(
  `SELECT ctid FROM push_deliveries WHERE device_id = ANY($1::bigint[]) AND dismiss AND due_at <= now() LIMIT ${DISMISSALS}`,
);

/**
 * Claims up to `limit` deliveries that are due, the ones due for longest first. Several processes never claim the same.
 * @param claimMs how long they are the caller's
 */
export async function claimPushes(database: Queryable, limit: number, claimMs: number): Promise<ClaimedPush[]> {
  const { rows } = await database.query<ClaimedRow>({
    name: 'claim-pushes',
    text: CLAIM_DUE,
    values: [limit, claimMs],
  });
  return rows.map(toClaimed);
}

/** Claims what else is to be dismissed on these devices, so that one message does for all. */
export async function claimDismissals(
  database: Queryable,
  deviceIds: readonly number[],
  claimMs: number,
): Promise<ClaimedPush[]> {
  const { rows } = await database.query<ClaimedRow>({
    name: 'claim-dismissals',
    text: CLAIM_DISMISSALS,
    values: [deviceIds, claimMs],
  });
  return rows.map(toClaimed);
}

function toClaimed(row: ClaimedRow): ClaimedPush {
  return {
    deviceId: row.device_id,
    alertId: row.alert_id,
    userId: row.user_id,
    claimedUntil: row.due_at,
    attempts: row.attempts,
    strikes: row.strikes,
    dismiss: row.dismiss,
    plannedFor: row.planned_for,
    lastError: row.error,
    expiresAt: row.expires_at,
    now: row.now,
    device: row.token === null ? null : { token: row.token, platform: platformOfRank(row.platform!) },
    alert:
      row.kind === null
        ? null
        : {
            kind: row.kind,
            level: levelOfRank(row.level),
            appName: row.app_name,
            title: row.title,
            message: row.message,
            createdAt: row.created_at,
            traceparent: row.traceparent,
          },
    entry: row.seq === null ? null : { sequence: row.seq, isRead: row.is_read, isDeleted: row.is_deleted },
    unreadCount: row.unread_count ?? 0,
  };
}

/** What became of a claim. */
export interface PushOutcome {
  readonly claim: Pick<ClaimedPush, 'deviceId' | 'alertId' | 'claimedUntil'>;
  /** Waiting: it was not accepted and is to be tried again. Null: the same, but nobody knows whether it was accepted. */
  readonly state: PushState | null;
  /** With these two: milliseconds until the next try. */
  readonly retryInMs?: number;
  /** Whether it was not even tried. */
  readonly untried?: boolean;
  /** Whether it failed while others succeeded. */
  readonly strike?: boolean;
  readonly messageName?: string;
  readonly error?: string;
}

/**
 * Stores what became of claims, unless they ended and somebody else has claimed the same since. A push that was accepted
 * although its alert was read meanwhile is due again at once, to be dismissed.
 */
export async function finishPushes(database: Queryable, outcomes: readonly PushOutcome[]): Promise<void> {
  await database.query({
    name: 'finish-pushes',
    text: `
      UPDATE push_deliveries p SET
        state = CASE WHEN o.state = 'waiting' AND p.dismiss THEN 'skipped' ELSE COALESCE(o.state, p.state) END,
        due_at = CASE
          WHEN o.state IS NULL OR o.state = 'waiting' AND NOT p.dismiss THEN now() + o.retry_in * interval '1 ms'
          WHEN o.state = 'sent' AND p.dismiss THEN now()
        END,
        attempts = p.attempts - o.untried::int,
        strikes = p.strikes + o.strike::int,
        sent_at = CASE WHEN o.state = 'sent' THEN now() ELSE p.sent_at END,
        message_name = COALESCE(o.message_name, p.message_name),
        error = o.error
      FROM unnest($1::bigint[], $2::bigint[], $3::float8[], $4::text[], $5::float8[], $6::bool[], $7::bool[], $8::text[], $9::text[])
        AS o(device_id, alert_id, claimed_until, state, retry_in, untried, strike, message_name, error)
      WHERE p.device_id = o.device_id AND p.alert_id = o.alert_id AND p.due_at = to_timestamp(o.claimed_until / 1000)`,
    values: [
      outcomes.map(({ claim }) => claim.deviceId),
      outcomes.map(({ claim }) => claim.alertId),
      outcomes.map(({ claim }) => claim.claimedUntil),
      outcomes.map(({ state }) => state),
      outcomes.map(({ retryInMs }) => retryInMs ?? 0),
      outcomes.map(({ untried }) => untried ?? false),
      outcomes.map(({ strike }) => strike ?? false),
      outcomes.map(({ messageName }) => messageName ?? null),
      outcomes.map(({ error }) => error ?? null),
    ],
  });
}

/**
 * For each of these devices the lowest alert that it still shows, as far as we know: sent, and neither read nor deleted. A
 * device that shows none is left out.
 */
export async function firstShown(database: Queryable, deviceIds: readonly number[]): Promise<Map<number, number>> {
  const { rows } = await database.query<{ device_id: number; alert_id: number }>({
    text: `
      SELECT device_id, min(alert_id) AS alert_id FROM push_deliveries
      WHERE device_id = ANY($1::bigint[]) AND NOT dismiss AND state IN ('waiting', 'sending', 'sent') GROUP BY device_id`,
    values: [deviceIds],
  });
  return new Map(rows.map(({ device_id, alert_id }) => [device_id, alert_id]));
}

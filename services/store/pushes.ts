import { ALERT_LEVELS, type AlertKind, type AlertLevel, levelOfRank, levelRank } from '../domain/alert.js';
import type { DevicePlatform } from '../domain/device.js';
import type { Queryable, Row } from '../lib/postgres.js';
import { platformOfRank } from './devices.js';

/*
 * A push delivery is one alert for one device: `waiting` until it is due, `sending` from its first claim, `sent` when
 * FCM has accepted it, `dismissed` when the device was told that it is read or deleted. It ends early as `skipped`
 * (read, deleted, or its device gone before it was sent), `expired` or `failed`. Who claims one has it until the claim
 * ends; if its process dies, somebody claims it again.
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
  readonly device: ClaimedDevice | null;
  readonly alert: PushedAlert | null;
  /** Null: it is not in the inbox (any more). */
  readonly entry: { readonly sequence: number; readonly isRead: boolean; readonly isDeleted: boolean } | null;
  readonly unreadCount: number;
}

export interface ClaimedDevice {
  readonly token: string;
  readonly platform: DevicePlatform;
  /** When it was registered or renewed last, in milliseconds since 1970. */
  readonly refreshedAt: number;
  /** How often FCM has refused it; each message that it takes counts one off. */
  readonly refusals: number;
  /** How often since FCM took a message for it, and how often of these by its own fault. */
  readonly inRow: number;
  readonly ownInRow: number;
  /** Milliseconds for which it is to get nothing; 0: none. */
  readonly waitsMs: number;
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
  refusals: number | null;
  refusals_in_row: number | null;
  own_refusals_in_row: number | null;
  refreshed_at: number | null;
  waits_ms: number | null;
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

/** The longest that a device or a push waits, by its own backoff or FCM's Retry-After. */
export const PUSH_WAIT_MAX_MS = 5 * 60_000;
/**
 * Nothing waits for longer, but for PUSH_GRACE_MS: what is due later was dated by a clock that was wrong, and is due
 * now.
 */
const HORIZON_MS = PUSH_WAIT_MAX_MS + 60_000;

/** How far ahead a time may lie that was not dated by a wrong clock. */
export function horizonMs(graceMs: number): number {
  return Math.max(HORIZON_MS, graceMs + 60_000);
}

/**
 * @param rows SQL that locks rows and gives their ctid; by these they are found again without a plan that could be
 * wrong. `OFFSET 0` does the same for the other tables.
 */
const claimSql = (rows: string, before = '') => `
  WITH ${before} claimed AS (
    UPDATE push_deliveries p SET
      due_at = date_trunc('milliseconds', now()) + $2 * interval '1 ms', attempts = p.attempts + 1,
      state = CASE p.state WHEN 'waiting' THEN 'sending' ELSE p.state END
    WHERE p.ctid = ANY(ARRAY(${rows} FOR UPDATE SKIP LOCKED))
    RETURNING p.device_id, p.alert_id, p.user_id, p.due_at, p.attempts, p.strikes, p.dismiss,
              p.planned_for, p.error, p.expires_at
  )
  SELECT c.*, now() AS now, d.token, d.platform, d.refusals, d.refusals_in_row, d.own_refusals_in_row, d.refreshed_at,
         EXTRACT(epoch FROM d.waits_until - now())::float8 * 1000 AS waits_ms,
         a.kind, a.level, a.app_name, a.title, a.message, a.created_at, a.traceparent,
         s.seq, s.is_read, s.is_deleted, i.unread_count
  FROM claimed c
  LEFT JOIN LATERAL (
    SELECT token, platform, refusals, refusals_in_row,
           CASE WHEN refused_since IS NULL THEN 0 ELSE own_refusals_in_row END AS own_refusals_in_row, refreshed_at, waits_until
    FROM devices d
    WHERE d.device_id = c.device_id AND d.user_id = c.user_id OFFSET 0
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

/** For rows that were found otherwise: in this form no index of due times is read for it. */
const isDue = (horizon: string) => `COALESCE(due_at <= now() OR due_at > now() + ${horizon} * interval '1 ms', false)`;

/** Rows of a device that one claim takes: enough to keep it busy, and few that FCM refuses in vain. */
export const OF_DEVICE = 10;
/**
 * Rows that are looked at for each that is claimed, so that users and devices get their turns, and how many at least.
 */
const LOOK = 2;
const LOOK_MIN = 500;
/** With a number here the index is read in its order, and no further; without one all that is due would be sorted. */
const LOOK_MAX = 1000;

/** The turns, the most urgent first; dismissals have none of their own, and are last. */
const TURNS = [...ALERT_LEVELS.map(levelRank).reverse(), 0];

/** The condition of the index by turns, in a form that no other index of due times has: it may not be taken instead. */
const IN_TURNS = `COALESCE(due_at, 'infinity') < 'infinity'`;

/** What is due at each level. Compared as pairs, in the order of that index. */
const lanes = TURNS.flatMap((level) =>
  [
    `(level, due_at) >= (${level}, '-infinity') AND (level, due_at) <= (${level}, now())`,
    `(level, due_at) > (${level}, now() + $5 * interval '1 ms') AND (level, due_at) <= (${level}, 'infinity')`,
  ].map(
    (due) => `(
      SELECT ctid, device_id, user_id, level, due_at FROM push_deliveries
      WHERE ${IN_TURNS} AND ${due} AND user_id <> ALL($3::text[]) AND device_id <> ALL($4::bigint[]) ORDER BY level, due_at
      LIMIT ${LOOK_MAX}
    )`,
  ),
).join(' UNION ALL ');

const CLAIM_DUE = claimSql(
  `SELECT ctid FROM push_deliveries WHERE ctid = ANY(ARRAY(SELECT ctid FROM chosen)) AND ${isDue('$5')}`,
  `candidates AS MATERIALIZED (SELECT * FROM (${lanes}) l LIMIT GREATEST(${LOOK_MIN}, ${LOOK} * $1::bigint)),
   ranked AS (
     SELECT ctid, level, due_at, row_number() OVER (PARTITION BY user_id ORDER BY level DESC, due_at) AS of_user,
            row_number() OVER (PARTITION BY device_id ORDER BY level DESC, due_at) AS of_device
     FROM candidates
   ),
   chosen AS (
     SELECT ctid FROM ranked WHERE of_device <= ${OF_DEVICE} ORDER BY level DESC, of_user, due_at LIMIT $1::bigint
   ),`,
);

/** Dismissals that are claimed at once for the devices of one statement. */
const DISMISSALS = 5000;
const CLAIM_DISMISSALS = claimSql(
  `SELECT ctid FROM push_deliveries WHERE device_id = ANY($1::bigint[]) AND dismiss AND ${isDue('$3')} LIMIT ${DISMISSALS}`,
);

export interface ClaimOptions {
  readonly limit: number;
  /** How long they are the caller's. */
  readonly claimMs: number;
  readonly horizonMs: number;
  /** Users and devices that have enough in hand, and are passed over. */
  readonly busyUsers: readonly string[];
  readonly busyDevices: readonly number[];
}

/**
 * Claims up to `limit` deliveries that are due: the most urgent level first, in it each user in turn, of each the ones
 * due for longest first. Several processes never claim the same.
 */
export async function claimPushes(
  database: Queryable,
  { limit, claimMs, horizonMs, busyUsers, busyDevices }: ClaimOptions,
): Promise<ClaimedPush[]> {
  const { rows } = await database.query<ClaimedRow>({
    name: 'claim-pushes',
    text: CLAIM_DUE,
    values: [limit, claimMs, busyUsers, busyDevices, horizonMs],
  });
  return rows.map(toClaimed);
}

/** Claims what else is to be dismissed on these devices, so that one message does for all. */
export async function claimDismissals(
  database: Queryable,
  deviceIds: readonly number[],
  { claimMs, horizonMs }: Pick<ClaimOptions, 'claimMs' | 'horizonMs'>,
): Promise<ClaimedPush[]> {
  const { rows } = await database.query<ClaimedRow>({
    name: 'claim-dismissals',
    text: CLAIM_DISMISSALS,
    values: [deviceIds, claimMs, horizonMs],
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
    device:
      row.token === null
        ? null
        : {
            token: row.token,
            platform: platformOfRank(row.platform!),
            refreshedAt: row.refreshed_at!,
            refusals: row.refusals!,
            inRow: row.refusals_in_row!,
            ownInRow: row.own_refusals_in_row!,
            waitsMs: Math.min(PUSH_WAIT_MAX_MS, Math.max(0, row.waits_ms ?? 0)),
          },
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
  /**
   * Waiting: it was not accepted and is to be tried again. Null: the same, but nobody knows whether it was accepted.
   */
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
 * Stores what became of claims, unless they ended and somebody else has claimed the same since. A push that was
 * accepted although its alert was read meanwhile is due again at once, to be dismissed.
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
        level = CASE WHEN o.state = 'sent' AND p.dismiss THEN 0 ELSE p.level END,
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
 * For each of these devices the lowest alert that it still shows, as far as we know: sent, and neither read nor
 * deleted. A device that shows none is left out.
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

import { createHash } from 'node:crypto';
import { DEVICE_PLATFORMS, type DevicePlatform } from '../domain/device.js';
import type { Database, Queryable, Row } from '../lib/postgres.js';
import type { Account } from './audit.js';

export function platformOfRank(rank: number): DevicePlatform {
  return DEVICE_PLATFORMS[rank - 1]!;
}

/** Devices of one user; beyond it the one that was renewed longest ago goes. */
export const DEVICES_MAX = 2000;

export interface Device {
  readonly deviceId: number;
  readonly userId: string;
  readonly platform: DevicePlatform;
  /** The last characters of the token. */
  readonly tokenEnding: string;
  readonly appVersion: string;
  readonly locale: string;
  readonly registeredAt: number;
  readonly refreshedAt: number;
}

interface DeviceRow extends Row {
  device_id: number;
  user_id: string;
  platform: number;
  token_ending: string;
  app_version: string;
  locale: string;
  registered_at: number;
  refreshed_at: number;
}

const COLUMNS = `device_id, user_id, platform, right(token, 6) AS token_ending, app_version, locale, registered_at, refreshed_at`;

function toDevice(row: DeviceRow): Device {
  return {
    deviceId: row.device_id,
    userId: row.user_id,
    platform: platformOfRank(row.platform),
    tokenEnding: row.token_ending,
    appVersion: row.app_version,
    locale: row.locale,
    registeredAt: row.registered_at,
    refreshedAt: row.refreshed_at,
  };
}

const hashOf = (token: string) => createHash('sha256').update(token).digest();

/**
 * Adds a device or renews it. A token that another user had becomes a new device of this one. What is pushed to a
 * user's first device begins with the next change of the inbox.
 * @param renewal accounts for a device that the user had already
 * @returns undefined if the user is not active
 */
export async function registerDevice(
  database: Database,
  device: { userId: string; token: string; platform: DevicePlatform; appVersion: string; locale: string },
  account: Account,
  renewal: Account,
): Promise<Device | undefined> {
  const { userId, token, platform, appVersion, locale } = device;
  return database.transaction(async (connection) => {
    // Whoever makes the user inactive waits for us, and then removes this device too.
    const active = await connection.query(
      'SELECT 1 FROM users WHERE user_id = $1 AND valid_to IS NULL AND active FOR SHARE',
      [userId],
    );
    if (active.rowCount === 0) return undefined;
    const { rows } = await connection.query<DeviceRow & { previous_user: string | null; others: number }>(
      `
      WITH before AS (SELECT user_id FROM devices WHERE token_hash = $3), cursor AS (
        INSERT INTO push_cursors (user_id, seq)
        VALUES ($1, COALESCE((SELECT last_seq FROM inboxes WHERE user_id = $1), 0))
        ON CONFLICT (user_id) DO UPDATE SET seq = excluded.seq
        WHERE NOT EXISTS (SELECT 1 FROM devices WHERE user_id = $1)
      )
      INSERT INTO devices (device_id, user_id, token, token_hash, platform, app_version, locale, registered_at, refreshed_at)
      VALUES (nextval('device_ids'), $1, $2, $3, $4, $5, $6, now(), now())
      ON CONFLICT (token_hash) DO UPDATE SET
        device_id = CASE WHEN devices.user_id = excluded.user_id THEN devices.device_id ELSE excluded.device_id END,
        registered_at = CASE WHEN devices.user_id = excluded.user_id THEN devices.registered_at ELSE now() END,
        refusals = CASE WHEN devices.user_id = excluded.user_id THEN devices.refusals ELSE 0 END,
        refusals_in_row = CASE WHEN devices.user_id = excluded.user_id THEN devices.refusals_in_row ELSE 0 END,
        own_refusals_in_row = CASE WHEN devices.user_id = excluded.user_id THEN devices.own_refusals_in_row ELSE 0 END,
        refused_since = CASE WHEN devices.user_id = excluded.user_id THEN devices.refused_since END,
        waits_until = CASE WHEN devices.user_id = excluded.user_id THEN devices.waits_until END,
        user_id = excluded.user_id, platform = excluded.platform, app_version = excluded.app_version,
        locale = excluded.locale, refreshed_at = now()
      RETURNING ${COLUMNS}, (SELECT user_id FROM before) AS previous_user,
        (SELECT count(*) FROM devices WHERE user_id = $1) AS others`,
      [userId, token, hashOf(token), DEVICE_PLATFORMS.indexOf(platform) + 1, appVersion, locale],
    );
    const { previous_user: previousUser, others, ...row } = rows[0]!;
    if (others >= DEVICES_MAX) await removeBeyondMax(connection, userId);
    const details = { deviceId: row.device_id, platform, previousUser: previousUser ?? '' };
    await (previousUser === userId ? renewal : account)(connection, details);
    return toDevice(row);
  });
}

async function removeBeyondMax(connection: Queryable, userId: string): Promise<void> {
  await connection.query({
    text: `
      DELETE FROM devices WHERE device_id = ANY(ARRAY(
        SELECT device_id FROM devices WHERE user_id = $1 ORDER BY refreshed_at DESC, device_id DESC OFFSET ${DEVICES_MAX}
      ))`,
    values: [userId],
  });
}

/** @returns whether the user had the device */
export async function unregisterDevice(
  database: Database,
  userId: string,
  device: { deviceId: number } | { token: string },
  account: Account,
): Promise<boolean> {
  return database.transaction(async (connection) => {
    const { rows } = await connection.query<{ device_id: number }>(
      'DELETE FROM devices WHERE user_id = $1 AND (device_id = $2 OR token_hash = $3) RETURNING device_id',
      'token' in device ? [userId, null, hashOf(device.token)] : [userId, device.deviceId, null],
    );
    if (rows[0] === undefined) return false;
    await account(connection, { deviceId: rows[0].device_id });
    return true;
  });
}

/** The devices of a user, the one renewed last first. */
export async function listDevices(database: Queryable, userId: string): Promise<Device[]> {
  const { rows } = await database.query<DeviceRow>({
    text: `SELECT ${COLUMNS} FROM devices WHERE user_id = $1 ORDER BY refreshed_at DESC, device_id DESC`,
    values: [userId],
  });
  return rows.map(toDevice);
}

/**
 * Removes devices that FCM does not know any more, unless they were renewed since they were read (`refreshedAt`,
 * milliseconds since 1970): compared, not ordered, as a clock may step back.
 * @returns how many
 */
export async function removeDeadDevices(
  database: Queryable,
  dead: readonly { deviceId: number; refreshedAt: number }[],
): Promise<number> {
  const { rowCount } = await database.query({
    text: `
      DELETE FROM devices d USING unnest($1::bigint[], $2::float8[]) AS x(device_id, refreshed_at)
      WHERE d.device_id = x.device_id
        AND abs(EXTRACT(epoch FROM d.refreshed_at - to_timestamp(x.refreshed_at / 1000))) <= 0.001`,
    values: [dead.map(({ deviceId }) => deviceId), dead.map(({ refreshedAt }) => refreshedAt)],
  });
  return rowCount ?? 0;
}

/**
 * Removes devices that were not renewed for so many days before the last one was, at most `limit`: a clock that is a
 * year ahead removes none.
 * @returns how many
 */
export async function pruneDevices(database: Queryable, maxAgeDays: number, limit: number): Promise<number> {
  const { rowCount } = await database.query({
    text: `
      DELETE FROM devices WHERE device_id = ANY(ARRAY(
        SELECT device_id FROM devices
        WHERE refreshed_at < LEAST(now(), (
          SELECT refreshed_at FROM devices WHERE refreshed_at > '-infinity' ORDER BY refreshed_at DESC LIMIT 1
        )) - $1 * interval '1 day'
        ORDER BY refreshed_at LIMIT $2
      ))`,
    values: [maxAgeDays, limit],
  });
  return rowCount ?? 0;
}

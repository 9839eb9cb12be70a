import type { Queryable } from '../lib/postgres.js';
import type { InboxPosition } from './inboxes.js';

/** What a stream begins from: all of one snapshot. */
export interface StreamOpening {
  readonly active: boolean;
  /** The database's: resume tokens of another one have expired. */
  readonly epoch: number;
  readonly inbox: InboxPosition;
}

interface OpeningRow extends Record<string, unknown> {
  user_id: string;
  active: boolean;
  epoch: number;
  last_seq: number | null;
  pruned_seq: number | null;
  unread_count: number | null;
}

/** By user; who is not in the directory is left out. */
export async function streamOpenings(
  database: Queryable,
  userIds: readonly string[],
): Promise<Map<string, StreamOpening>> {
  const { rows } = await database.query<OpeningRow>({
    name: 'stream-openings',
    text: `
      SELECT u.user_id, u.active, s.epoch, i.last_seq, i.pruned_seq, i.unread_count
      FROM service_state s, users u LEFT JOIN inboxes i ON i.user_id = u.user_id
      WHERE u.user_id = ANY($1::text[]) AND u.valid_to IS NULL`,
    values: [userIds],
  });
  return new Map(
    rows.map(({ user_id, active, epoch, last_seq, pruned_seq, unread_count }) => [
      user_id,
      {
        active,
        epoch,
        inbox: { lastSequence: last_seq ?? 0, prunedSequence: pruned_seq ?? 0, unreadCount: unread_count ?? 0 },
      },
    ]),
  );
}

import { CHANGE_TYPES } from '../../services/domain/alert.js';

/** Runs one statement of the test's own, past the service. */
export type Sql = <R extends Record<string, unknown>>(text: string, values?: unknown[]) => Promise<R[]>;

/** One change of an inbox, as the row was when it took its number. */
export interface InboxEvent {
  readonly alertId: number;
  /** As a stream names it. */
  readonly type: string;
  readonly isRead: boolean;
}

const INSTALL = `
  CREATE TABLE inbox_history (
    user_id text, seq bigint, alert_id bigint, change int, is_read boolean, PRIMARY KEY (user_id, seq)
  );
  CREATE FUNCTION note_inbox_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
  BEGIN
    INSERT INTO inbox_history VALUES (NEW.user_id, NEW.seq, NEW.alert_id, NEW.change, NEW.is_read);
    RETURN NULL;
  END $$;
  CREATE TRIGGER note_inbox_change AFTER INSERT OR UPDATE OF seq ON alert_statuses
    FOR EACH ROW EXECUTE FUNCTION note_inbox_change()`;

/** Has PostgreSQL note every change of every inbox from now on: what a stream showed is held against that. */
export async function keepHistory(sql: Sql): Promise<void> {
  await sql(INSTALL);
}

/** One user's inbox, change by change. */
export class InboxHistory {
  readonly #events: InboxEvent[] = [];
  /** Unread alerts after so many changes. */
  readonly #unread = [0];

  /** @throws if the numbers are not 1, 2, 3 … (I3) */
  static async of(sql: Sql, userId: string): Promise<InboxHistory> {
    const rows = await sql<{ seq: number | string; alert_id: number | string; change: number; is_read: boolean }>(
      'SELECT seq, alert_id, change, is_read FROM inbox_history WHERE user_id = $1 ORDER BY seq',
      [userId],
    );
    const history = new InboxHistory();
    for (const { seq, alert_id, change, is_read } of rows) {
      const type = `INBOX_CHANGE_TYPE_${CHANGE_TYPES[change - 1]}`;
      if (Number(seq) !== history.length + 1)
        throw new Error(`${userId} has number ${seq} behind ${history.length} changes`);
      history.#add({ alertId: Number(alert_id), type, isRead: is_read });
    }
    return history;
  }

  #add(event: InboxEvent): void {
    const unread = this.#unread.at(-1)!;
    this.#events.push(event);
    if (event.type.endsWith('_CREATED') || event.type.endsWith('_UNREAD')) this.#unread.push(unread + 1);
    else if (event.type.endsWith('_READ') || !event.isRead) this.#unread.push(unread - 1);
    else this.#unread.push(unread);
  }

  /** How many alerts have arrived. */
  get created(): number {
    return this.#events.filter(({ type }) => type === 'INBOX_CHANGE_TYPE_CREATED').length;
  }

  /** The inbox's last number. */
  get length(): number {
    return this.#events.length;
  }

  /** The change with this number. */
  at(sequence: number): InboxEvent | undefined {
    return this.#events[sequence - 1];
  }

  /** How many alerts were unread as of this number. */
  unreadAt(sequence: number): number | undefined {
    return this.#unread[sequence];
  }

  /** The least number from `from` on as of which so many were unread. */
  firstWithUnread(count: number, from: number): number | undefined {
    const found = this.#unread.indexOf(count, from);
    return found < 0 ? undefined : found;
  }
}

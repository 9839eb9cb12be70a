import { type Connection, Database } from '../../../../services/lib/postgres.js';
import { runWired } from './wired.js';

// A record that comes again is announced as what it once was, a new alert, whatever has become of the row since.

const { transaction } = Database.prototype;
Database.prototype.transaction = function <T>(this: Database, work: (connection: Connection) => Promise<T>) {
  return transaction.call(this, (connection) =>
    work(
      new Proxy(connection, {
        get(target, name) {
          if (name !== 'query') return Reflect.get(target, name) as unknown;
          return async (text: string, values: unknown[]) => {
            const result = await target.query<{ change?: number; is_read?: boolean }>(text, values);
            if (text.includes('JOIN alert_statuses s USING'))
              for (const row of result.rows) Object.assign(row, { change: 1, is_read: false });
            return result;
          };
        },
      }),
    ),
  ) as Promise<T>;
};
await runWired();

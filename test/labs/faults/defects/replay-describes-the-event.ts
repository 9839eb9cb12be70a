import { type Connection, Database } from '../../../../services/lib/postgres.js';
import { runWired } from './wired.js';

// A record that comes again is announced as what it once was, a new alert, whatever has become of the row since.

const { transaction } = Database.prototype;

/** The same connection; its own `query` cannot be replaced in place, nor by a Proxy. */
function forgetful(connection: Connection): Connection {
  const query = async (text: string, values?: unknown[]) => {
    const result = await connection.query<{ change?: number; is_read?: boolean }>(text, values);
    if (text.includes('JOIN alert_statuses s USING'))
      for (const row of result.rows) Object.assign(row, { change: 1, is_read: false });
    return result;
  };
  return Object.create(connection, { query: { value: query } }) as Connection;
}

Database.prototype.transaction = function <T>(
  this: Database,
  work: (connection: Connection) => Promise<T>,
  lockWaitMs?: number,
) {
  return transaction.call(this, (connection) => work(forgetful(connection)), lockWaitMs) as Promise<T>;
};
await runWired();

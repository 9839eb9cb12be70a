import type { Database } from '../../../../services/lib/postgres.js';

/** Errors of these SQLSTATEs lose them, on their way from the database to whoever decides what they mean. */
export function forgetCodes(prototype: Database, codes: readonly string[]): void {
  const forgetting = <Args extends unknown[], Result>(method: (...args: Args) => Promise<Result>) =>
    function (this: Database, ...args: Args): Promise<Result> {
      return method.apply(this, args).catch((error: Error & { code?: string }) => {
        throw codes.includes(error.code ?? '') ? new Error(error.message) : error;
      });
    };
  const { query, transaction } = prototype;
  Object.assign(prototype, { query: forgetting(query), transaction: forgetting(transaction) });
}

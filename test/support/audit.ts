import type { AuditActor } from '../../services/domain/audit.js';
import type { Database } from '../../services/lib/postgres.js';
import { type Account, accountOf, listEntries, type StoredEntry } from '../../services/store/audit.js';
import { beginSettling, type Head, isSettled, sealEntries } from '../../services/store/audit-chain.js';
import { untilTrue } from './until-true.js';

export const SOMEBODY: AuditActor = {
  kind: 'service',
  subject: 'deployer',
  credential: 'jwt iss=https://issuer.example jti=7',
  peer: '10.0.0.7:50123',
  requestId: 'r-1',
  traceId: '0af7651916cd43dd8448eb211c80319c',
};

/** Somebody's account of changes of the directory. */
export const someAccount: Account = accountOf(SOMEBODY, 'directory.users');

/** The whole account, oldest first. */
export async function entriesOf(database: Database): Promise<StoredEntry[]> {
  const entries: StoredEntry[] = [];
  for await (const entry of listEntries(database, {})) entries.unshift(entry);
  return entries;
}

/** Seals all that is there, as soon as nobody is about to add something before it. */
export async function sealAll(database: Database): Promise<Head> {
  const settling = (await beginSettling(database, 0))!;
  await untilTrue(() => isSettled(database, settling), { what: 'all numbers settled' });
  for (;;) {
    const { head, isDone } = await sealEntries(database, settling.upTo);
    if (isDone) return head;
  }
}

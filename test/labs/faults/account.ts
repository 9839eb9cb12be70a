import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../../../services/lib/config/load.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { Database } from '../../../services/lib/postgres.js';
import { verifyChain } from '../../../services/store/audit-chain.js';
import { entriesOf } from '../../support/audit.js';
import { INTRUDER, INTRUSIONS } from './intruder.js';
import type { Scene } from './verify.js';

/** Refused calls gather for 5 s, entries are sealed some 10 s after they were made. */
const SETTLES_MS = 60_000;
/** By which methods the intruder is refused. */
const TRIED = new Set<string>(INTRUSIONS);

/** The account of who did what: what the run did is in it once, and all of it is as it was sealed. */
export async function checkAccount({ world, findings, traffic, accountIsPartial }: Scene): Promise<void> {
  const database = new Database(world.postgres.url, loadConfig({}), silentLogger());
  const broken = (detail: string) => findings.add('account', detail);
  try {
    const until = Date.now() + SETTLES_MS;
    const isSettled = async () =>
      (await verifyChain(database)).unsealed === 0 &&
      (accountIsPartial || (await intrusions(database)).size === traffic.intruder.denied.size);
    while (!(await isSettled()) && Date.now() < until) await sleep(500);
    const { breaks, unsealed } = await verifyChain(database);
    for (const { entryId, kind, what } of breaks) broken(`entry ${entryId} ${kind}: ${what}`);
    if (unsealed > 0) broken(`${unsealed} entries are not sealed`);
    if (accountIsPartial) return;
    const entries = await entriesOf(database);
    const objects = (action: string) => entries.filter((entry) => entry.action === action).map(({ object }) => object);
    compare('device.registered', traffic.phones.users, objects('device.registered'));
    const versions = entries
      .filter(({ action }) => action === 'directory.users')
      .map(({ details }) => details['version']);
    compare('directory.users', await versionsOf(database), versions.map(String));
    compare(
      'epoch.renew',
      Array.from({ length: world.renewals }, () => ''),
      objects('epoch.renew'),
    );
    const tried = await intrusions(database);
    for (const method of traffic.intruder.denied)
      if (!tried.has(method)) broken(`that ${INTRUDER} was refused ${method} has no entry`);
  } finally {
    await database.close();
  }

  function compare(action: string, wanted: readonly string[], found: readonly string[]): void {
    const [expected, actual] = [wanted, found].map((each) => JSON.stringify([...each].sort()));
    if (expected !== actual) broken(`${action}: entries of ${actual} instead of ${expected}`);
  }
}

/** The versions of the directory that changes of users have made, after the first one. */
async function versionsOf(database: Database): Promise<string[]> {
  const { rows } = await database.query<{ version: number }>({
    text: 'SELECT DISTINCT valid_from AS version FROM users WHERE valid_from > 1',
  });
  return rows.map(({ version }) => String(version));
}

async function intrusions(database: Database): Promise<Set<string>> {
  const entries = await entriesOf(database);
  return new Set(
    entries
      .filter(({ action, actor }) => action === 'call.refused' && actor.subject === INTRUDER)
      .map(({ object }) => object.slice(object.indexOf('/') + 1))
      .filter((method) => TRIED.has(method)),
  );
}

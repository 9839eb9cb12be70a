import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RoutingRule } from '../../services/domain/routing.js';
import type { Database } from '../../services/lib/postgres.js';
import { ROOT } from '../../services/lib/root.js';
import { NO_ACCOUNT } from '../../services/store/audit.js';
import { setRoutingRules, upsertUsers, type User } from '../../services/store/directory.js';
import type { TestApi } from './api.js';

export function user(userId: string, department: string, rest: Partial<User> = {}): User {
  return { userId, displayName: userId, department, githubLogin: '', active: true, ...rest };
}

/** `count` users, `prefix1` and up, of one department. */
export function users(prefix: string, count: number, department: string): User[] {
  return Array.from({ length: count }, (_, index) => user(`${prefix}${index + 1}`, department));
}

/** A few users of each department: enough for most tests. `core3` is inactive. */
export const SMALL_DIRECTORY: readonly User[] = [
  user('op1', 'OPERATION', { githubLogin: 'Op-One' }),
  user('op2', 'OPERATION'),
  user('core1', 'CORE_BANK', { githubLogin: 'core-one' }),
  user('core2', 'CORE_BANK'),
  user('core3', 'CORE_BANK', { active: false, githubLogin: 'core-three' }),
  user('chan1', 'CHANNEL'),
  user('chan2', 'CHANNEL'),
  user('ext1', 'EXTERNAL'),
];

export interface SampleDirectory {
  readonly users: readonly User[];
  readonly routingRules: readonly RoutingRule[];
}

/** deploy/sample/directory.json */
export function sampleDirectory(): SampleDirectory {
  const parsed = JSON.parse(readFileSync(join(ROOT, 'deploy', 'sample', 'directory.json'), 'utf8')) as {
    users: User[];
    routingRules: (Omit<RoutingRule, 'appPattern'> & { appPattern?: string })[];
  };
  return {
    users: parsed.users,
    routingRules: parsed.routingRules.map((rule) => ({ ...rule, appPattern: rule.appPattern ?? '' })),
  };
}

/** Loads users and, if given, rules through the API. */
export async function loadDirectory(
  client: TestApi,
  people: readonly User[] = SMALL_DIRECTORY,
  rules?: readonly RoutingRule[],
): Promise<void> {
  for (let from = 0; from < people.length; from += 500)
    await client.call('UpsertUsers', { users: people.slice(from, from + 500) });
  if (rules === undefined) return;
  await client.call('SetRoutingRules', {
    rules: rules.map(({ department, match, appPattern }) => ({
      department,
      match: `ROUTING_MATCH_${match}` as const,
      appPattern,
    })),
  });
}

/** The same, straight into the database. */
export async function storeDirectory(
  database: Database,
  people: readonly User[] = SMALL_DIRECTORY,
  rules?: readonly RoutingRule[],
): Promise<void> {
  await upsertUsers(database, people, NO_ACCOUNT);
  if (rules !== undefined) await setRoutingRules(database, rules, NO_ACCOUNT);
}

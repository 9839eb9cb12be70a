import { actorOf } from '../api/audit-actor.js';
import type { Handlers } from '../api/handlers.js';
import { readPage, readPageSize, readPageToken } from '../api/paging.js';
import { BOUNDS, Violations } from '../api/violations.js';
import { AlertError } from '../domain/errors.js';
import { ROUTING_MATCHES, type RoutingRule } from '../domain/routing.js';
import type { DirectoryServiceDefinition, DirectoryWarning, RoutingRule__Output, User__Output } from '../gen/types.js';
import type { CallContext } from '../lib/grpc/call-context.js';
import type { Logger } from '../lib/logging.js';
import type { Database } from '../lib/postgres.js';
import { sqlState, UNIQUE_VIOLATION } from '../lib/postgres-errors.js';
import { withTimeout } from '../lib/retry.js';
import { accountOf } from '../store/audit.js';
import {
  currentRoutingRules,
  listUsers,
  setRoutingRules,
  unstaffedDepartments,
  upsertUsers,
  type User,
} from '../store/directory.js';

const NAME_MAX = 128;
const DISPLAY_NAME_MAX = 200;

export interface DirectoryServiceDeps {
  readonly logger: Logger;
}

/** The handlers of ssom.alert.v1.DirectoryService. */
export function directoryService({ logger }: DirectoryServiceDeps): Handlers<DirectoryServiceDefinition> {
  /** The change is committed by now: what it leaves unreached is told if it is known soon. */
  async function warnings({ database, signal }: CallContext): Promise<DirectoryWarning[]> {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(WARNINGS_WAIT_MS)]);
    const found = warningsOf(database.bulk.until(patience));
    try {
      return await withTimeout(found, WARNINGS_WAIT_MS, 'the look for departments without staff');
    } catch (error) {
      logger.debug({ err: error }, 'a change of the directory is answered without warnings');
      return [];
    }
  }

  return {
    async UpsertUsers({ users }, call) {
      const database = call.database.bulk;
      checkUsers(users);
      try {
        const version = await upsertUsers(database, users, accountOf(actorOf(call), 'directory.users'));
        return { directoryVersion: version, warnings: await warnings(call) };
      } catch (error) {
        if (sqlState(error) !== UNIQUE_VIOLATION) throw error;
        const [, login = ''] = /=\((.*)\) already/.exec((error as { detail?: string }).detail ?? '') ?? [];
        throw new AlertError(
          'FAILED_PRECONDITION',
          'GITHUB_LOGIN_TAKEN',
          `another user has the github_login '${login}' already; free it there first`,
        );
      }
    },

    async ListUsers(request, call) {
      const database = call.database.bulk;
      const limit = readPageSize(request.pageSize);
      const { rows, nextPageToken } = await readPage({
        limit,
        from: readPageToken(request.pageToken, 'string') ?? '',
        read: (after, count) => listUsers(database, { after, department: request.department, limit: count }),
        keyOf: ({ userId }) => userId,
        bytesOf: userBytes,
      });
      return { users: rows, nextPageToken };
    },

    async SetRoutingRules({ rules }, call) {
      const database = call.database.bulk;
      const version = await setRoutingRules(database, readRules(rules), accountOf(actorOf(call), 'directory.rules'));
      return { directoryVersion: version, warnings: await warnings(call) };
    },

    async GetRoutingRules(_request, { database }) {
      const { rules, version } = await currentRoutingRules(database);
      return {
        rules: rules.map(({ department, match, appPattern }) => ({
          department,
          match: `ROUTING_MATCH_${match}`,
          appPattern,
        })),
        directoryVersion: version,
      };
    },
  };
}

const WARNINGS_MAX = 100;
const WARNINGS_WAIT_MS = 1000;

/** What in the directory as it is now reaches nobody. */
async function warningsOf(database: Database): Promise<DirectoryWarning[]> {
  const departments = await unstaffedDepartments(database, WARNINGS_MAX);
  return departments.map(({ department, inRules, hasUsers }) => {
    const type = !inRules
      ? 'DEPARTMENT_WITHOUT_ACTIVE_USER'
      : hasUsers
        ? 'RULE_WITHOUT_ACTIVE_USER'
        : 'RULE_WITHOUT_USERS';
    return { type: `DIRECTORY_WARNING_TYPE_${type}`, department };
  });
}

/** At most so many bytes a user takes in a response. */
function userBytes({ userId, displayName, department, githubLogin }: User): number {
  return 32 + Buffer.byteLength(userId + displayName + department + githubLogin);
}

function checkUsers(users: readonly User__Output[]): void {
  const violations = new Violations();
  if (violations.fits('users', users, BOUNDS['UpsertUsersRequest.users'])) {
    const ids = new Set<string>();
    const logins = new Set<string>();
    users.forEach(({ userId, displayName, department, githubLogin }, index) => {
      const path = `users[${index}]`;
      violations.name(`${path}.user_id`, userId, NAME_MAX, true);
      // It is how the user is named by a token or by metadata, which carry neither.
      if (/\p{Cc}/u.test(userId) || userId !== userId.trim())
        violations.add(`${path}.user_id`, 'must have no control characters, and no space at either end');
      violations.text(`${path}.display_name`, displayName, DISPLAY_NAME_MAX);
      violations.name(`${path}.department`, department, NAME_MAX, true);
      violations.name(`${path}.github_login`, githubLogin, NAME_MAX);
      const login = githubLogin.toLowerCase();
      if (ids.has(userId)) violations.add(`${path}.user_id`, `'${userId}' is there twice`);
      if (login !== '' && logins.has(login)) violations.add(`${path}.github_login`, `'${githubLogin}' is there twice`);
      ids.add(userId);
      logins.add(login);
    });
  }
  violations.throwIfAny();
}

function readRules(rules: readonly RoutingRule__Output[]): RoutingRule[] {
  const violations = new Violations();
  const fits = violations.fits('rules', rules, BOUNDS['SetRoutingRulesRequest.rules']);
  const read = (fits ? rules : []).map(({ department, match, appPattern }, index): RoutingRule => {
    const path = `rules[${index}]`;
    violations.name(`${path}.department`, department, NAME_MAX, true);
    const known = violations.choice(`${path}.match`, match, ROUTING_MATCHES, 'ROUTING_MATCH');
    if (known === 'ALL' && appPattern !== '') {
      violations.add(`${path}.app_pattern`, 'must be empty with ROUTING_MATCH_ALL');
    } else if (known !== undefined && known !== 'ALL') {
      violations.text(`${path}.app_pattern`, appPattern, NAME_MAX, true);
    }
    return { department, match: known ?? 'ALL', appPattern };
  });
  violations.throwIfAny();
  return read;
}

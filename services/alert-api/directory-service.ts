import { AlertError, invalidArgument, type FieldViolation } from '../domain/errors.js';
import { ROUTING_MATCHES, type RoutingRule } from '../domain/routing.js';
import { requireScope } from '../lib/grpc/identity.js';
import { fromProto, readPageSize, readPageToken, writePageToken } from '../lib/grpc/messages.js';
import type { UnaryHandler } from '../lib/grpc/server.js';
import type { GetRoutingRulesRequest__Output } from '../lib/grpc/types/ssom/alert/v1/GetRoutingRulesRequest.js';
import type { GetRoutingRulesResponse } from '../lib/grpc/types/ssom/alert/v1/GetRoutingRulesResponse.js';
import type { ListUsersRequest__Output } from '../lib/grpc/types/ssom/alert/v1/ListUsersRequest.js';
import type { ListUsersResponse } from '../lib/grpc/types/ssom/alert/v1/ListUsersResponse.js';
import type { RoutingRule__Output } from '../lib/grpc/types/ssom/alert/v1/RoutingRule.js';
import type { SetRoutingRulesRequest__Output } from '../lib/grpc/types/ssom/alert/v1/SetRoutingRulesRequest.js';
import type { SetRoutingRulesResponse } from '../lib/grpc/types/ssom/alert/v1/SetRoutingRulesResponse.js';
import type { UpsertUsersRequest__Output } from '../lib/grpc/types/ssom/alert/v1/UpsertUsersRequest.js';
import type { UpsertUsersResponse } from '../lib/grpc/types/ssom/alert/v1/UpsertUsersResponse.js';
import type { User__Output } from '../lib/grpc/types/ssom/alert/v1/User.js';
import { sqlState, UNIQUE_VIOLATION } from '../lib/postgres-errors.js';
import type { Database } from '../lib/postgres.js';
import { currentRoutingRules, listUsers, setRoutingRules, upsertUsers } from '../store/directory.js';

const USERS_MAX = 500;
const RULES_MAX = 200;
const NAME_MAX = 128;
const DISPLAY_NAME_MAX = 200;

interface Handlers {
  readonly UpsertUsers: UnaryHandler<UpsertUsersRequest__Output, UpsertUsersResponse>;
  readonly ListUsers: UnaryHandler<ListUsersRequest__Output, ListUsersResponse>;
  readonly SetRoutingRules: UnaryHandler<SetRoutingRulesRequest__Output, SetRoutingRulesResponse>;
  readonly GetRoutingRules: UnaryHandler<GetRoutingRulesRequest__Output, GetRoutingRulesResponse>;
}

/** The handlers of ssom.alert.v1.DirectoryService. */
export function directoryService({ database: unobserved }: { database: Database }): Handlers {
  return {
    async UpsertUsers({ users }, { identity, statements }) {
      requireScope(identity, 'directory:admin');
      const database = unobserved.observedBy(statements);
      checkUsers(users);
      try {
        return { directoryVersion: await upsertUsers(database, users) };
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

    async ListUsers(request, { identity, statements }) {
      requireScope(identity, 'directory:admin');
      const database = unobserved.observedBy(statements);
      const limit = readPageSize(request.pageSize);
      const after = readPageToken(request.pageToken, 'string') ?? '';
      const users = await listUsers(database, { after, department: request.department, limit: limit + 1 });
      const page = users.slice(0, limit);
      return { users: page, nextPageToken: users.length > limit ? writePageToken(page.at(-1)!.userId) : '' };
    },

    async SetRoutingRules({ rules }, { identity, statements }) {
      requireScope(identity, 'directory:admin');
      const database = unobserved.observedBy(statements);
      return { directoryVersion: await setRoutingRules(database, readRules(rules)) };
    },

    async GetRoutingRules(_request, { identity, statements }) {
      requireScope(identity, 'directory:admin');
      const database = unobserved.observedBy(statements);
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

function checkText(violations: FieldViolation[], field: string, value: string, max: number, required: boolean): void {
  if (required && value.trim() === '') violations.push({ field, description: `is required: 1 to ${max} characters` });
  // eslint-disable-next-line @typescript-eslint/no-misused-spread -- code points are what the limits count
  else if ([...value].length > max) violations.push({ field, description: `must have at most ${max} characters` });
  else if (value.includes('\0')) violations.push({ field, description: 'must not contain the character U+0000' });
}

function checkUsers(users: readonly User__Output[]): void {
  const violations: FieldViolation[] = [];
  if (users.length === 0 || users.length > USERS_MAX) {
    throw invalidArgument([{ field: 'users', description: `must have 1 to ${USERS_MAX} items, not ${users.length}` }]);
  }
  const ids = new Set<string>();
  const logins = new Set<string>();
  users.forEach(({ userId, displayName, department, githubLogin }, index) => {
    const path = `users[${index}]`;
    checkText(violations, `${path}.user_id`, userId, NAME_MAX, true);
    // It is how the user is named by a token or by metadata, which carry neither.
    if (/\p{Cc}/u.test(userId) || userId !== userId.trim())
      violations.push({
        field: `${path}.user_id`,
        description: 'must have no control characters, and no space at either end',
      });
    checkText(violations, `${path}.display_name`, displayName, DISPLAY_NAME_MAX, false);
    checkText(violations, `${path}.department`, department, NAME_MAX, true);
    checkText(violations, `${path}.github_login`, githubLogin, NAME_MAX, false);
    const login = githubLogin.toLowerCase();
    if (ids.has(userId)) violations.push({ field: `${path}.user_id`, description: `'${userId}' is there twice` });
    if (login !== '' && logins.has(login))
      violations.push({ field: `${path}.github_login`, description: `'${githubLogin}' is there twice` });
    ids.add(userId);
    logins.add(login);
  });
  if (violations.length > 0) throw invalidArgument(violations);
}

function readRules(rules: readonly RoutingRule__Output[]): RoutingRule[] {
  const violations: FieldViolation[] = [];
  if (rules.length > RULES_MAX)
    violations.push({ field: 'rules', description: `must have at most ${RULES_MAX} items, not ${rules.length}` });
  const read = rules.map(({ department, match, appPattern }, index): RoutingRule => {
    const path = `rules[${index}]`;
    checkText(violations, `${path}.department`, department, NAME_MAX, true);
    const known = fromProto(ROUTING_MATCHES, 'ROUTING_MATCH', match);
    if (known === undefined) {
      const names = ROUTING_MATCHES.map((name) => `ROUTING_MATCH_${name}`).join(', ');
      violations.push({ field: `${path}.match`, description: `must be one of ${names}` });
    } else if (known === 'ALL' && appPattern !== '') {
      violations.push({ field: `${path}.app_pattern`, description: 'must be empty with ROUTING_MATCH_ALL' });
    } else if (known !== 'ALL') {
      checkText(violations, `${path}.app_pattern`, appPattern, NAME_MAX, true);
    }
    return { department, match: known ?? 'ALL', appPattern };
  });
  if (violations.length > 0) throw invalidArgument(violations);
  return read;
}

import { ROUTING_MATCHES } from '../../domain/routing.js';
import type { RoutingRule, User } from '../../gen/types.js';
import { isObject, Problems, readEnum, readFields, readList, readText, typeName } from './fields.js';
import { parseJson } from './json-text.js';

const USER_FIELDS = ['userId', 'displayName', 'department', 'githubLogin', 'active'] as const;
const RULE_FIELDS = ['department', 'match', 'appPattern'] as const;

export interface DirectoryFile {
  readonly users: readonly User[];
  /** Undefined: the file says nothing of rules, so they stay as they are. */
  readonly rules: readonly RoutingRule[] | undefined;
}

/** What a directory file says, or everything that is wrong with it, by path. */
export type DirectoryInput = { readonly directory: DirectoryFile } | { readonly problems: readonly string[] };

/** Reads a file like deploy/sample/directory.json; snake_case and the enum's full names are taken too. */
export function parseDirectory(text: string): DirectoryInput {
  const json = parseJson(text);
  if ('problem' in json) return { problems: [`the file ${json.problem}`] };
  const parsed = json.value;
  if (!isObject(parsed)) return { problems: [`the file must hold a JSON object, not ${typeName(parsed)}`] };
  const problems = new Problems();
  const fields = readFields(parsed, ['users', 'routingRules'], '', problems);
  if (fields.users === undefined && fields.routingRules === undefined) {
    problems.add('the file', 'has neither users nor routingRules');
  }
  const users = (readList(fields.users, 'users', problems) ?? []).map((user, index) =>
    readUser(user, `users[${index}]`, problems),
  );
  const rules = readList(fields.routingRules, 'routingRules', problems)?.map((rule, index) =>
    readRule(rule, `routingRules[${index}]`, problems),
  );
  findRepeats(users, problems);
  return problems.list.length > 0 ? { problems: problems.list } : { directory: { users, rules } };
}

function readUser(value: unknown, path: string, problems: Problems): User {
  if (!isObject(value)) {
    problems.add(path, `must be an object, not ${typeName(value)}`);
    return {};
  }
  const fields = readFields(value, USER_FIELDS, path, problems);
  // Left out it would mean an inactive user, to the surprise of whoever wrote the file.
  if (typeof fields.active !== 'boolean')
    problems.add(`${path}.active`, `must be true or false, not ${said(fields.active)}`);
  return {
    userId: required(fields.userId, `${path}.userId`, problems),
    department: required(fields.department, `${path}.department`, problems),
    displayName: readText(fields.displayName, `${path}.displayName`, problems) ?? '',
    githubLogin: readText(fields.githubLogin, `${path}.githubLogin`, problems) ?? '',
    active: fields.active === true,
  };
}

function readRule(value: unknown, path: string, problems: Problems): RoutingRule {
  if (!isObject(value)) {
    problems.add(path, `must be an object, not ${typeName(value)}`);
    return {};
  }
  const fields = readFields(value, RULE_FIELDS, path, problems);
  const match = readEnum(fields.match ?? null, 'ROUTING_MATCH', ROUTING_MATCHES, `${path}.match`, problems);
  return {
    department: required(fields.department, `${path}.department`, problems),
    appPattern: readText(fields.appPattern, `${path}.appPattern`, problems) ?? '',
    ...(match === undefined ? {} : { match }),
  };
}

function required(value: unknown, path: string, problems: Problems): string {
  if (typeof value === 'string' && value !== '') return value;
  problems.add(path, `must be a string of at least one character, not ${said(value)}`);
  return '';
}

function said(value: unknown): string {
  if (value === undefined) return 'absent';
  return value === '' ? 'empty' : typeName(value);
}

/** The service sees a chunk at a time and would take the last of two. */
function findRepeats(users: readonly User[], problems: Problems): void {
  const first = new Map<string, number>();
  users.forEach(({ userId = '' }, index) => {
    const before = first.get(userId);
    if (before === undefined) first.set(userId, index);
    else if (userId !== '') problems.add(`users[${index}].userId`, `'${userId}' is that of users[${before}] too`);
  });
}

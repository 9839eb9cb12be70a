export const ROUTING_MATCHES = ['ALL', 'APP_CONTAINS', 'APP_NOT_CONTAINS'] as const;
export type RoutingMatch = (typeof ROUTING_MATCHES)[number];

/** Sends the alerts whose app name matches to a department. */
export interface RoutingRule {
  readonly department: string;
  readonly match: RoutingMatch;
  /** Upper and lower case are equal; empty with ALL. */
  readonly appPattern: string;
}

export function matches(rule: RoutingRule, appName: string): boolean {
  if (rule.match === 'ALL') return true;
  const contains = appName.toLowerCase().includes(rule.appPattern.toLowerCase());
  return rule.match === 'APP_CONTAINS' ? contains : !contains;
}

/** The departments that receive an alert by the rules, each once. */
export function routedDepartments(rules: readonly RoutingRule[], appName: string): string[] {
  return [...new Set(rules.filter((rule) => matches(rule, appName)).map(({ department }) => department))];
}

/** The routing rules of one version of the directory, and which of their departments have an active user. */
export interface StaffedRules {
  readonly rules: readonly RoutingRule[];
  readonly staffed: ReadonlySet<string>;
}

/** Whom a caller named: user ids (logins are resolved), and departments that are still to be expanded. */
export interface ResolvedRecipients {
  readonly userIds: readonly string[];
  readonly departments: readonly string[];
}

/** Who an alert was addressed to when it was stored. */
export interface Addressing {
  readonly appName: string;
  /** Undefined: by the routing rules. */
  readonly named: ResolvedRecipients | undefined;
}

/** One version of the active users and the routing rules. It never changes, so its answers are kept. */
export class Directory {
  readonly #byDepartment = new Map<string, string[]>();
  /** By the departments that receive, which are few combinations. */
  readonly #unions = new Map<string, readonly string[]>();

  constructor(
    readonly version: number,
    users: readonly { userId: string; department: string }[],
    private readonly rules: readonly RoutingRule[],
  ) {
    for (const { userId, department } of users) {
      const members = this.#byDepartment.get(department);
      if (members === undefined) this.#byDepartment.set(department, [userId]);
      else members.push(userId);
    }
  }

  /** The user ids that receive an alert, each once. */
  recipientsOf({ appName, named }: Addressing): readonly string[] {
    if (named === undefined) return this.#union(routedDepartments(this.rules, appName));
    if (named.departments.length === 0) return named.userIds;
    return [...new Set([...named.userIds, ...this.#union(named.departments)])];
  }

  #union(departments: readonly string[]): readonly string[] {
    const distinct = [...new Set(departments)].sort();
    const key = JSON.stringify(distinct);
    let union = this.#unions.get(key);
    if (union === undefined) {
      // A user has one department, so nobody is in two of these lists.
      union = distinct.flatMap((department) => this.#byDepartment.get(department) ?? []);
      if (this.#unions.size < 100) this.#unions.set(key, union);
    }
    return union;
  }
}

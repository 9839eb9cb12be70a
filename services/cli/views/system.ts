import { ROLE_NAMES, type RoleName } from '../../domain/role-names.js';
import { roleOfGroup } from '../../events/groups.js';
import type { Check, RoleState } from '../io/roles.js';
import { count, duration, oneLine } from './text.js';

/** A consumer group, of all its members that answered. */
export interface GroupState {
  readonly name: string;
  /** Whose it is. */
  readonly role: RoleName;
  /** Records behind the ends of the partitions, as of at most 5 s ago. */
  readonly lag: number;
  /** The partition that lags most. */
  readonly worst: { readonly partition: string; readonly lag: number } | undefined;
  /** Members that are paused: they wait for an outage to end. */
  readonly paused: number;
  /** Partitions that wait for a record that failed alone. */
  readonly parked: number;
  /** Records that were set aside and wait while others go on, and for how long the oldest has. */
  readonly setAside: number;
  readonly setAsideMs: number;
}

export interface OpenBreaker {
  readonly name: string;
  readonly state: 'half open' | 'open';
  readonly at: RoleState;
}

/** Whether a process runs a role. */
export function runs({ name, away }: RoleState, role: RoleName): boolean {
  return away === undefined && (name === role || name === 'standalone');
}

/** Roles that no process runs that answered. */
export function missingRoles(states: readonly RoleState[]): RoleName[] {
  return ROLE_NAMES.filter((role) => !states.some((state) => runs(state, role)));
}

/** What consumers say of themselves, and what the alert-api hears from the broker, also of those that have stopped. */
const LAGS = ['ssom_kafka_consumer_lag', 'ssom_kafka_group_lag'] as const;

/** What else they say of their groups. */
const GROUPED = ['ssom_kafka_consumer_parked', 'ssom_triage_waiting'] as const;

/** The consumer groups, in the order of an alert's way. */
export function groupsOf(states: readonly RoleState[]): GroupState[] {
  const lags = new Map<string, Map<string, number>>();
  const partitionsOf = (group: string) => {
    const partitions = lags.get(group) ?? new Map<string, number>();
    lags.set(group, partitions);
    return partitions;
  };
  for (const { metrics } of states) {
    for (const { labels } of GROUPED.flatMap((name) => metrics.samples(name))) partitionsOf(labels['group'] ?? '');
    for (const { labels, value } of LAGS.flatMap((name) => metrics.samples(name))) {
      const partitions = partitionsOf(labels['group'] ?? '');
      const partition = `${labels['topic']}-${labels['partition']}`;
      // The same records, told of twice, and each gateway reads every partition: that makes them no more.
      partitions.set(partition, Math.max(partitions.get(partition) ?? 0, value));
    }
  }
  const total = (metric: string, group: string) =>
    states.reduce((sum, { metrics }) => sum + (metrics.sum(metric, { group }) ?? 0), 0);
  return [...lags]
    .map(([name, partitions]) => {
      const [worst] = [...partitions].sort(([, a], [, b]) => b - a);
      return {
        name,
        role: roleOfGroup(name),
        lag: [...partitions.values()].reduce((sum, lag) => sum + lag, 0),
        worst: worst === undefined ? undefined : { partition: worst[0], lag: worst[1] },
        paused: total('ssom_kafka_consumer_paused', name),
        parked: total('ssom_kafka_consumer_parked', name),
        setAside: total('ssom_triage_waiting', name),
        setAsideMs:
          Math.max(0, ...states.map(({ metrics }) => metrics.max('ssom_triage_age', { group: name }) ?? 0)) * 1000,
      };
    })
    .sort((a, b) => ROLE_NAMES.indexOf(a.role) - ROLE_NAMES.indexOf(b.role));
}

export function openBreakers(states: readonly RoleState[]): OpenBreaker[] {
  return states.flatMap((at) =>
    at.metrics
      .samples('ssom_breaker_state')
      .filter(({ value }) => value > 0)
      .map(({ labels, value }) => ({
        name: labels['name'] ?? '',
        state: value > 1 ? ('open' as const) : ('half open' as const),
        at,
      })),
  );
}

/** Checks of a process that are not well and concern a role; breakers stand among them for the eye only. */
export function failedChecks({ checks }: RoleState, role?: RoleName): Check[] {
  const group = /^consumer group (.*)$/;
  return checks.filter(({ name, ok }) => {
    if (ok || name.startsWith('circuit breaker ')) return false;
    const of = group.exec(name)?.[1];
    return role === undefined || of === undefined || roleOfGroup(of) === role;
  });
}

/** The same, each in one sentence. A role is ready for all that, if it can do without. */
export function checkProblems(state: RoleState, role?: RoleName): string[] {
  const is = state.ready ? 'is ready, but' : 'is not ready:';
  return failedChecks(state, role).map(({ name, reason }) => oneLine(`${nameOf(state)} ${is} ${name}: ${reason}`));
}

/** `delivery at 127.0.0.1:9466` */
export function nameOf({ name, address }: RoleState): string {
  return `${name ?? 'the role'} at ${address}`;
}

/** Whether any process has answered; if not, the addresses are wrong rather than all roles away. */
export function isKnown(states: readonly RoleState[]): boolean {
  return states.some(({ away }) => away === undefined);
}

/**
 * What keeps a role from its work now, each in one sentence; none: it answers, is ready, and has nothing before it, or
 * nothing is known of the system at all.
 */
export function problemsOf(role: RoleName, states: readonly RoleState[]): string[] {
  if (!isKnown(states)) return [];
  const running = states.filter((state) => runs(state, role));
  const groups = groupsOf(states).filter((each) => each.role === role);
  if (running.length === 0)
    return [describeAbsence(role, states), ...groups.flatMap((group) => [...describeGroup(group)])];
  const problems = running.flatMap((state) => checkProblems(state, role));
  for (const { name, state, at } of openBreakers(running)) {
    if (name === 'fcm' && role !== 'push') continue;
    const means = state === 'open' ? 'calls fail at once until it answers' : 'one call tries whether it answers';
    // Where nobody calls it stays half open, long after what is behind is well. Of pushes that wait somebody does call.
    if (state === 'open' || name === 'fcm')
      problems.push(`${nameOf(at)}: its circuit breaker to ${name} is ${state}: ${means}`);
  }
  for (const group of groups) problems.push(...describeGroup(group));
  return problems;
}

function describeAbsence(role: RoleName, states: readonly RoleState[]): string {
  const asked = states.filter(({ name, away }) => away !== undefined && (name === role || name === undefined));
  const where = asked.map(({ address, away }) => `${address}: ${away}`).join('; ');
  return `no ${role} answers${where === '' ? ': none of the addresses asked is one' : ` (${where})`}`;
}

function* describeGroup({ name, lag, worst, paused, parked, setAside, setAsideMs }: GroupState): Generator<string> {
  if (paused > 0) yield `the consumer of ${name} is paused: it waits for an outage to end, its log says which`;
  if (parked > 0)
    yield `${parked} of the partitions of ${name} ${parked === 1 ? 'waits' : 'wait'} for a record that fails alone`;
  if (setAside > 0)
    yield (
      `${count(setAside, 'record')} of ${name} ${setAside === 1 ? 'waits' : 'wait'} apart, the oldest for ${duration(setAsideMs)}: ` +
      'one failed alone, or others hold its inbox'
    );
  if (lag > 0) {
    const { partition, lag: most } = worst!;
    const where = most === lag ? `in ${partition}` : `most of them in ${partition} (${most.toLocaleString('en')})`;
    yield `${name} is ${count(lag, 'record')} behind, ${where}`;
  }
}

import { toAlertMessage } from '../api/messages.js';
import { type NewAlert, RECIPIENT_LISTS, type Unreached, type UnreachedRecipient } from '../domain/alert.js';
import { routedDepartments } from '../domain/routing.js';
import type { CreateAlertResponse, UnreachedRecipient as UnreachedMessage } from '../gen/types.js';
import { wait } from '../lib/retry.js';
import type { StaffedRulesCache } from '../store/recipient-resolver.js';
import type { CreateResult } from './create-lane.js';

/**
 * An alert is stored by now: whether it reaches somebody is told if it is known soon, once for each version of the
 * directory.
 */
const RULES_WAIT_MS = 500;
/**
 * Departments of rules that are told; names of a request are in the request, these would be said to each of 500 items.
 */
const RULE_DEPARTMENTS_TOLD = 5;

/** What a caller is told of an alert that was stored. */
export async function createAnswer(
  { adjustments }: NewAlert,
  result: CreateResult,
  rules: StaffedRulesCache,
): Promise<CreateAlertResponse> {
  const { unreached, reachesNobody } = await reachOf(result, rules);
  return {
    alert: toAlertMessage(result.alert),
    replayed: result.replayed,
    adjustments: adjustments.map((each) => ({ ...each, type: `ADJUSTMENT_TYPE_${each.type}` })),
    ...unreachedMessage(unreached),
    reachesNobody,
  };
}

async function reachOf(
  { alert, reach }: CreateResult,
  cache: StaffedRulesCache,
): Promise<{ unreached: Unreached; reachesNobody: boolean }> {
  const { directoryVersion, unreached, reachesNamed } = reach;
  if (reachesNamed !== undefined) return { unreached, reachesNobody: !reachesNamed };
  const found = cache.at(directoryVersion);
  const known = found instanceof Promise ? await withoutDelay(found) : found;
  if (known === undefined) return { unreached, reachesNobody: false };
  const departments = routedDepartments(known.rules, alert.appName);
  const unstaffed = departments.filter((department) => !known.staffed.has(department));
  const names = unstaffed
    .slice(0, RULE_DEPARTMENTS_TOLD)
    .map((name): UnreachedRecipient => ({ list: 'ROUTING_RULES', name, reason: 'NO_ACTIVE_USER' }));
  return { unreached: { names, count: unstaffed.length }, reachesNobody: unstaffed.length === departments.length };
}

/** Undefined if it takes its time, or fails. */
async function withoutDelay<T>(promise: Promise<T>): Promise<T | undefined> {
  const patience = new AbortController();
  try {
    return await Promise.race([promise, wait(RULES_WAIT_MS, patience.signal).then(() => undefined)]);
  } catch {
    return undefined;
  } finally {
    patience.abort();
  }
}

/** Names that reach nobody, as CreateAlertResponse and AlertProgress have them. */
export function unreachedMessage({ names, count }: Unreached): {
  unreached: UnreachedMessage[];
  unreachedCount: number;
} {
  return {
    unreached: names.map(({ list, name, reason }) => ({
      // What a newer version stored may be none of ours.
      list: RECIPIENT_LISTS.includes(list) ? `RECIPIENT_LIST_${list}` : 'RECIPIENT_LIST_UNSPECIFIED',
      name,
      reason: `UNREACHED_REASON_${reason}`,
    })),
    unreachedCount: count,
  };
}

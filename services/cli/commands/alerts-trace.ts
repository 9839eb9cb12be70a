import { AlertClientError } from '../../client/errors.js';
import type { Alert__Output, AlertProgress__Output } from '../../gen/types.js';
import { wallClock } from '../../lib/wall-clock.js';
import { type CallerFlags, callerIdentity, withClient } from '../command.js';
import { type Context, FAILED, INTERRUPTED, OK, print, say, UsageError } from '../context.js';
import { readRoles, roleAddresses, type RolesFlags, type RoleState } from '../io/roles.js';
import { unreachedNotes } from '../views/create-notes.js';
import { alertJson, progressJson } from '../views/format.js';
import { checkProblems, isKnown } from '../views/system.js';
import { count, duration, jsonText, oneLine, type Paint, painter } from '../views/text.js';
import { missingCount, type Step, stepsOf, verdictOf } from '../views/trace.js';
import { reasonsOf } from '../views/trace-reasons.js';

export interface TraceFlags extends CallerFlags, RolesFlags {
  readonly jaeger?: string;
  readonly json?: boolean;
}

export const JAEGER_DEFAULT = 'http://localhost:16686';

/** Everything that is known of where an alert is. */
interface Trace {
  readonly alert: Alert__Output;
  readonly progress: AlertProgress__Output;
  readonly roles: readonly RoleState[];
  readonly steps: readonly Step[];
  readonly verdict: string;
  readonly reasons: readonly string[];
  /** In Jaeger; null: the call that created it was not traced, or its trace not recorded. */
  readonly traceUrl: string | null;
}

export async function traceAlert(context: Context, alertId: number, flags: TraceFlags): Promise<number> {
  const jaeger = jaegerBase(context, flags);
  const addresses = roleAddresses(context, flags);
  return withClient(context, flags, callerIdentity(context, flags), async (client, signal) => {
    const asking = readRoles(addresses, signal);
    let answer;
    try {
      answer = await client.getAlert({ alertId }, { signal });
    } catch (error) {
      // Without the alert-api, or its database, nothing is known of the alert; what the roles say of themselves may be
      // why.
      const isAway = error instanceof AlertClientError && ['UNAVAILABLE', 'DEADLINE_EXCEEDED'].includes(error.code);
      if (isAway) for (const line of (await asking).flatMap(selfReport)) say(context, line);
      throw error;
    }
    const { alert, progress } = answer;
    if (alert === null || progress === null) {
      say(context, `alert ${alertId} is there; how far it has come is told to callers with the scope alerts:read only`);
      return FAILED;
    }
    const roles = await asking;
    // Otherwise every role that was not heard yet would be the reason.
    if (signal.aborted) return INTERRUPTED;
    const trace: Trace = {
      alert,
      progress,
      roles,
      steps: stepsOf(alert, progress),
      verdict: verdictOf(alert, progress),
      reasons: reasonsOf(progress, roles, wallClock()),
      traceUrl: !progress.traceSampled ? null : `${jaeger}/trace/${encodeURIComponent(progress.traceId)}`,
    };
    if (flags.json) await print(context, jsonText(traceJson(trace), null, 2));
    else for (const line of traceLines(trace, painter(context))) await print(context, line);
    return OK;
  });
}

function jaegerBase({ environment }: Context, flags: TraceFlags): string {
  const base = flags.jaeger ?? (environment['SSOM_JAEGER_URL'] || JAEGER_DEFAULT);
  if (!/^https?:\/\/[^\s/]+/.test(base))
    throw new UsageError(`'${base}' is no address of Jaeger's page; it must be a URL, for example ${JAEGER_DEFAULT}`);
  return base.replace(/\/+$/, '');
}

/** What is wrong with a role; none: it answers, and finds nothing. */
function selfReport(role: RoleState): string[] {
  return role.away === undefined ? checkProblems(role) : [`${role.address}: ${role.away}`];
}

/** For people. */
function traceLines(trace: Trace, paint: Paint): string[] {
  const { alert, progress, steps, reasons, roles } = trace;
  const well = reasons.length === 0 && missingCount(progress) === 0;
  const lines = [
    paint('bold', `alert ${alert.alertId}: ${oneLine(alert.title)}`),
    paint(well ? 'green' : 'yellow', trace.verdict),
    '',
    ...steps.map((step) => stepLine(step, paint)),
  ];
  const missing = missingCount(progress);
  if (missing > 0) lines.push('', `missing in ${count(missing, 'inbox')}: ${namesOf(progress, missing)}`);
  const unreached = unreachedNotes(progress.unreached, progress.unreachedCount);
  if (unreached.length > 0) lines.push('', 'not reached', ...unreached.map((note) => `  ${note}`));
  if (reasons.length > 0) lines.push('', 'why', ...reasons.map((reason) => `  ${reason}`));
  if (!isKnown(roles)) {
    const where = roles.map(({ address, away }) => `${address}: ${away}`).join('; ');
    lines.push(
      '',
      `no role answers, so what they do is not known (${where}); --roles or SSOM_ROLES says where they are`,
    );
  }
  lines.push('', `trace  ${trace.traceUrl ?? noTrace(progress)}`);
  return lines;
}

function noTrace({ traceId }: AlertProgress__Output): string {
  return traceId === ''
    ? 'none: the call that created it was not traced'
    : `none: ${oneLine(traceId)} was not recorded, as its caller's sampling, or ours, decided`;
}

const NAME_WIDTH = 12;
const TIME_WIDTH = 25;
/** Of `+23 h 59 min slow`, and two spaces. */
const AFTER_WIDTH = 19;

function stepLine({ name, at, firstAt, afterMs, done, of, slow, note }: Step, paint: Paint): string {
  const time = at === null ? '-' : moment(at);
  const after = afterMs === null ? '' : `+${duration(afterMs)}${slow ? ' slow' : ''}`;
  const counted = of === 1 && !['in inboxes', 'pushed', 'read'].includes(name) ? '' : countText(name, done, of);
  const since = firstAt === null ? '' : `the first at ${moment(firstAt).slice(-12)}`;
  const details = [counted, note, since].filter((text) => text !== '').join(', ');
  const line = `  ${name.padEnd(NAME_WIDTH)}${time.padEnd(TIME_WIDTH)}${after.padEnd(AFTER_WIDTH)}${details}`.trimEnd();
  return slow ? paint('yellow', line) : line;
}

function countText(name: Step['name'], done: number, of: number): string {
  const number = (value: number) => value.toLocaleString('en');
  if (name === 'fanned out') return `to ${count(of, 'recipient')}`;
  if (name === 'pushed' && of === 0) return '';
  return `${number(done)} of ${number(of)}`;
}

function namesOf({ missingUserIds }: AlertProgress__Output, missing: number): string {
  const more = missing - missingUserIds.length;
  return missingUserIds.map(oneLine).join(', ') + (more > 0 ? `, and ${more.toLocaleString('en')} more` : '');
}

/** YYYY-MM-DD HH:MM:SS.mmm by the local clock. */
function moment(ms: number): string {
  const date = new Date(ms);
  const local = new Date(ms - date.getTimezoneOffset() * 60_000);
  return local.toISOString().replace('T', ' ').replace('Z', '');
}

/** For programs. */
function traceJson({ alert, progress, roles, steps, verdict, reasons, traceUrl }: Trace): object {
  const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  return {
    verdict,
    steps: steps.map((step) => ({ ...step, at: iso(step.at), firstAt: iso(step.firstAt) })),
    unreached: { count: progress.unreachedCount, names: progress.unreached },
    missing: { count: missingCount(progress), userIds: progress.missingUserIds },
    reasons,
    traceUrl,
    roles: roles.map(({ address, name, away, ready }) => ({ address, name: name ?? null, away: away ?? null, ready })),
    alert: alertJson(alert),
    progress: progressJson(progress),
  };
}

import type { RoleState } from '../io/roles.js';
import { failedChecks, type GroupState, missingRoles, nameOf } from './system.js';
import { count, duration, oneLine, type Paint, type Style } from './text.js';
import { type Figures, HOPS, RATES } from './top-figures.js';

/** Text, or text in a style. */
type Segment = string | readonly [Style, string];
type Line = readonly Segment[];

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

const LABEL = 14;
const CELL = 12;
/** A push that has been due for longer is late: what ALERT_MONITORING_SLOW_PROCESSING_MS is unless it was set. */
const PUSH_LATE_MS = 5000;

/**
 * What a terminal shows: no line is wider than it, and there are no more than it has rows.
 * @param size undefined: as much as there is
 * @param now what the clock says, for the first line
 */
export function frameOf(figures: Figures, now: Date, size: Size | undefined, paint: Paint): string[] {
  const lines: Line[] = [
    title(figures, now),
    [],
    header('per second', RATES),
    row(
      '',
      RATES.map((name) => rate(figures.rates[name])),
    ),
    [],
    header('after creation', HOPS),
    ...(['p50', 'p99'] as const).map((q) =>
      row(
        `  ${q}`,
        HOPS.map((hop) => seconds(figures.latency[hop]?.[q])),
      ),
    ),
    [],
    ...lagLines(figures.groups),
    field('outbox', outboxText(figures)),
    field('streams', streamsText(figures)),
    field('push', pushText(figures)),
    field('breakers', breakersText(figures)),
    field('dead letters', deadLettersText(figures)),
    [],
    ...figures.roles.map(roleLine),
    ...missingRoles(figures.roles)
      .filter((name) => !figures.roles.some((role) => role.name === name))
      .map((name): Line => [['red', `${name.padEnd(LABEL)}  none of these; --roles names more`]]),
  ];
  return fit(lines, size).map((line) => draw(line, size?.columns ?? Infinity, paint));
}

function fit(lines: readonly Line[], size: Size | undefined): readonly Line[] {
  if (size === undefined || lines.length <= size.rows) return lines;
  const hidden = lines.length - size.rows + 1;
  return [...lines.slice(0, size.rows - 1), [['dim', `… ${count(hidden, 'more line')}`]]];
}

function draw(line: Line, columns: number, paint: Paint): string {
  let room = columns;
  let drawn = '';
  for (const segment of line) {
    const [style, text] = typeof segment === 'string' ? [undefined, segment] : segment;
    const shown = text.length <= room ? text : `${text.slice(0, Math.max(0, room - 1))}…`.slice(0, room);
    room -= shown.length;
    drawn += style === undefined || shown === '' ? shown : paint(style, shown);
  }
  return drawn;
}

function title({ roles }: Figures, now: Date): Line {
  const answering = roles.filter(({ ready }) => ready).length;
  const well: Style = answering === roles.length ? 'green' : 'red';
  return [
    ['bold', 'ssom-alert top'],
    `   ${now.toTimeString().slice(0, 8)}   `,
    [well, `${answering} of ${count(roles.length, 'process')} ready`],
  ];
}

function header(label: string, cells: readonly string[]): Line {
  return [['dim', row(label, cells).join('')]];
}

function row(label: string, cells: readonly string[]): [string] {
  return [label.padEnd(LABEL) + cells.map((cell) => cell.padStart(CELL)).join('')];
}

function rate(value: number | undefined): string {
  if (value === undefined) return '-';
  return value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString('en');
}

function seconds(value: number | undefined): string {
  return value === undefined ? '-' : duration(value * 1000);
}

function field(label: string, value: Line): Line {
  return [label.padEnd(LABEL), ...value];
}

function lagLines(groups: readonly GroupState[]): Line[] {
  if (groups.length === 0) return [field('lag', ['-'])];
  return groups.map(({ name, lag, worst, paused, parked, setAside, setAsideMs }, index) => {
    const most = lag > 0 ? `   most in ${worst!.partition}: ${worst!.lag.toLocaleString('en')}` : '';
    const line: Segment[] = [index === 0 ? 'lag'.padEnd(LABEL) : ' '.repeat(LABEL)];
    line.push([lag > 0 ? 'yellow' : 'green', lag.toLocaleString('en').padStart(CELL)], `  ${oneLine(name)}`);
    if (paused > 0) line.push(['red', '   paused']);
    if (parked > 0) line.push(['yellow', `   ${count(parked, 'partition')} parked`]);
    if (setAside > 0)
      line.push(['yellow', `   ${setAside.toLocaleString('en')} set aside for ${duration(setAsideMs)}`]);
    // Last, since a narrow terminal has no room for it.
    line.push(oneLine(most));
    return line;
  });
}

function outboxText({ outbox }: Figures): Line {
  if (outbox === undefined) return ['-'];
  if (outbox.depth === 0) return [['green', 'empty']];
  return [['yellow', `${count(outbox.depth, 'alert')}, the oldest for ${duration(outbox.ageMs)}`]];
}

function streamsText({ streams }: Figures): Line {
  if (streams === undefined) return ['-'];
  const slow: Line = streams.slow === 0 ? [] : [['yellow', `, ${streams.slow.toLocaleString('en')} of them slow`]];
  return [`${streams.open.toLocaleString('en')} open`, ...slow];
}

function pushText({ push }: Figures): Line {
  if (push === undefined) return ['-'];
  const { due, ageMs, pausedMs } = push;
  const text = due === 0 ? 'nothing due' : `${count(due, 'push')} due, the oldest for ${duration(ageMs)}`;
  if (pausedMs > 0) return [text, ['red', `, paused for ${duration(pausedMs)}`]];
  if (due === 0) return [['green', text]];
  return [ageMs > PUSH_LATE_MS ? ['yellow', text] : text];
}

function breakersText({ breakers, roles }: Figures): Line {
  if (breakers.length > 0) {
    // One that is half open waits for somebody to call; so it may stay long after what is behind it is well.
    const openFirst = [...breakers].sort((a, b) => Number(b.state === 'open') - Number(a.state === 'open'));
    return openFirst.map(({ name, state, at }, index) => {
      const text = `${index === 0 ? '' : ', '}${oneLine(name)} ${state} (${nameOf(at)})`;
      return state === 'open' ? ['red', text] : text;
    });
  }
  return roles.some(({ metrics }) => metrics.has('ssom_breaker_state')) ? [['green', 'all closed']] : ['-'];
}

function deadLettersText({ deadLetters }: Figures): Line {
  if (deadLetters === undefined) return ['-'];
  const { total, recent } = deadLetters;
  if (total === 0) return [['green', 'none since the roles were started']];
  const now: Line = recent === 0 ? [] : [['red', `, ${recent.toLocaleString('en')} in the last minute`]];
  return [`${total.toLocaleString('en')} since the roles were started`, ...now];
}

function roleLine(role: RoleState): Line {
  const { name, address, away, ready, metrics } = role;
  const head = `${(name ?? '?').padEnd(LABEL)}  ${address}  `;
  if (away !== undefined) return [head, ['red', `away: ${oneLine(away)}`]];
  const reasons = failedChecks(role).map((check) => `${check.name}: ${check.reason}`);
  const why = reasons.length === 0 ? '' : `: ${oneLine(reasons.join('; '))}`;
  const style: Style = ready ? (why === '' ? 'green' : 'yellow') : 'red';
  return [head, [style, `${ready ? 'ready' : 'not ready'}${why}`], ['dim', vitals(metrics)]];
}

function vitals(metrics: RoleState['metrics']): string {
  const uptime = metrics.max('process_uptime');
  if (uptime === undefined) return '  serves no metrics (ALERT_MONITORING_ENABLE_METRICS)';
  const memory = (metrics.max('process_memory_usage') ?? 0) / 1e6;
  const delay = (metrics.max('nodejs_eventloop_delay_p99') ?? 0) * 1000;
  return `  up ${duration(uptime * 1000)}, ${Math.round(memory)} MB, event loop ${Math.round(delay)} ms`;
}

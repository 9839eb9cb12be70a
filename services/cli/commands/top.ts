import { InvalidArgumentError } from 'commander';
import { wait } from '../../lib/retry.js';
import { wallClock } from '../../lib/wall-clock.js';
import { type AddCommands, examples } from '../command.js';
import { type Context, FAILED, INTERRUPTED, OK, print, say } from '../context.js';
import { readRoles, roleAddresses, rolesFlag, type RolesFlags } from '../io/roles.js';
import { jsonText, painter } from '../views/text.js';
import { type Figures, History } from '../views/top-figures.js';
import { frameOf } from '../views/top-frame.js';

interface TopFlags extends RolesFlags {
  readonly interval: number;
  readonly once?: boolean;
  readonly json?: boolean;
}

/** The second screen without a cursor, and back. */
const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

export const addTop: AddCommands = (program, context, done) => {
  rolesFlag(program.command('top'))
    .summary('what the running roles do, live')
    .description(
      'Rates over the last 10 s, latency over the last minute, lag, outbox, streams, push, circuit breakers, dead letters, and ' +
        'how each process is, from /metrics and /readyz. Ctrl-C ends it. Where the output is no terminal it looks twice, prints and ends.',
    )
    .option('--interval <seconds>', 'between two looks', parseInterval, 2)
    .option('--once', 'look twice, an interval apart, print and end')
    .option('--json', 'the same as JSON')
    .addHelpText(
      'after',
      examples(
        'ssom-alert top',
        "ssom-alert top --json | jq '.groups[] | {name, lag}'",
        'SSOM_ROLES=alert-api:9464,fanout:9465,delivery-0:9466,delivery-1:9466 ssom-alert top',
      ),
    )
    .action(async (flags: TopFlags) => done(await top(context, flags)));
};

function parseInterval(value: string): number {
  const interval = Number(value);
  if (!(interval >= 0.2 && interval <= 3600)) throw new InvalidArgumentError('It must be 0.2 to 3600 seconds.');
  return interval;
}

async function top(context: Context, flags: TopFlags): Promise<number> {
  const addresses = roleAddresses(context, flags);
  const signal = context.interrupted();
  const history = new History();
  const look = async () => history.add(await readRoles(addresses, signal), performance.now());
  const intervalMs = flags.interval * 1000;
  if (flags.once || flags.json || context.stdout.isTTY !== true) return once(context, flags, look, intervalMs);
  await live(context, look, intervalMs, signal);
  return OK;
}

async function once(
  context: Context,
  { json }: TopFlags,
  look: () => Promise<Figures>,
  intervalMs: number,
): Promise<number> {
  const signal = context.interrupted();
  const first = await look();
  // What was interrupted has seen nobody.
  if (signal.aborted) return INTERRUPTED;
  await wait(intervalMs, signal);
  const second = await look();
  const figures = signal.aborted ? first : second;
  if (json) await print(context, jsonText(figuresJson(figures), orNull, 2));
  else
    for (const line of frameOf(figures, new Date(wallClock()), undefined, painter(context))) await print(context, line);
  if (signal.aborted) return INTERRUPTED;
  if (figures.roles.some(({ away }) => away === undefined)) return OK;
  say(context, "no role answers; 'npm start' starts them, --roles or SSOM_ROLES says where they are");
  return FAILED;
}

async function live(
  context: Context,
  look: () => Promise<Figures>,
  intervalMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { stdout } = context;
  const paint = painter(context);
  let figures: Figures | undefined;
  const draw = () => {
    // A terminal that does not keep up gets the next frame instead.
    if (figures === undefined || stdout.writableNeedDrain) return;
    const size = { columns: stdout.columns ?? 80, rows: stdout.rows ?? 24 };
    const lines = frameOf(figures, new Date(wallClock()), size, paint);
    stdout.write(`${HOME}${lines.map((line) => line + CLEAR_LINE).join('\r\n')}${CLEAR_BELOW}`);
  };
  stdout.write(ENTER);
  stdout.on('resize', draw);
  try {
    while (!signal.aborted) {
      const seen = await look();
      if (signal.aborted) break;
      figures = seen;
      draw();
      await wait(intervalMs, signal);
    }
  } finally {
    stdout.off('resize', draw);
    stdout.write(LEAVE);
  }
}

/** For programs. */
function figuresJson({ roles, breakers, ...figures }: Figures): object {
  return {
    ...figures,
    breakers: breakers.map(({ name, state, at }) => ({ name, state, role: at.name, address: at.address })),
    roles: roles.map(({ name, address, away, ready, checks }) => ({ name, address, away, ready, checks })),
  };
}

/** JSON has no undefined: what is not known is null. */
function orNull(_key: string, value: unknown): unknown {
  return value ?? null;
}

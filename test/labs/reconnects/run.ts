// `npm run reconnects`: the product's client loses its connections a thousand times, on the real stack; see README.md.
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import type { Daemon } from '#stack';
import { type RoleProcess, Roles } from '../../support/role-process.js';
import { environmentFor, stackFolder, startStack } from '../../support/stack.js';
import { runReconnects, type Place, type ReconnectResult } from './reconnect-run.js';

const HELP = `npm run reconnects -- [options]

  --reconnects N   so many at least, of all streams together; 1000
  --seed N         the same choices; otherwise a new one each time
  --people N       each with two devices and three streams; 10
  --gateways N     2
  --json FILE      the result for a program
`;
/** Small pages and buffers, so that a short time away is several of them. */
const SETTINGS = { STREAM_PAGE_SIZE: '20', STREAM_BUFFER_MAX: '10' };
/** One stream takes about a second from one reconnect to the next on a busy machine. */
const RECONNECT_MS = 3000;
const PROBLEMS_SHOWN = 20;

function readOptions() {
  const { values } = parseArgs({
    options: {
      reconnects: { type: 'string', default: '1000' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      people: { type: 'string', default: '10' },
      gateways: { type: 'string', default: '2' },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const number = (name: 'reconnects' | 'seed' | 'people' | 'gateways') => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a whole number above 0`);
    return value;
  };
  const [reconnects, seed, people, gateways] = [
    number('reconnects'),
    number('seed'),
    number('people'),
    number('gateways'),
  ];
  return { ...values, reconnects, seed, people, gateways };
}

/** The real stack, with every role a process, for as long as `use` runs. */
async function onRealStack<T>(gatewayCount: number, use: (place: Place) => Promise<T>): Promise<T> {
  const folder = stackFolder();
  const daemons: Daemon[] = [];
  let roles: Roles | undefined;
  let database: pg.Pool | undefined;
  try {
    const { postgres, kafka, registry } = await startStack(folder.path);
    daemons.push(postgres, kafka, registry);
    database = new pg.Pool({ connectionString: postgres.url, max: 2 });
    roles = new Roles({
      ...environmentFor({ postgres: postgres.url, kafka: kafka.bootstrap, registry: registry.url }),
      ...SETTINGS,
    });
    const start = (role: string) => roles!.start(role);
    const alertApi = start('alert-api');
    const gateways = Array.from({ length: gatewayCount }, () => start('stream-gateway'));
    await Promise.all([alertApi, start('fanout'), start('delivery'), ...gateways].map((role) => role.ready()));
    const address = async (role: RoleProcess) => (await role.listening()).grpc;
    const pool = database;
    return await use({
      api: await address(alertApi),
      gateways: await Promise.all(gateways.map(address)),
      sql: async (text, values) => (await pool.query(text, values)).rows as never,
      openStreams: async () => {
        const counts = await Promise.all(gateways.map((gateway) => gateway.metric('ssom_stream_open')));
        return counts.reduce((sum, count) => sum + count, 0);
      },
    });
  } finally {
    await database?.end();
    await roles?.stop();
    await Promise.all(daemons.map((daemon) => daemon.stop()));
    folder.remove();
  }
}

function print({ reconnects, losses, streams, alerts, changes, seconds, problems }: ReconnectResult): void {
  const lines = [...losses].map(([why, count]) => `  ${String(count).padStart(6)} ${why}`);
  process.stdout.write(`lost because of\n${lines.join('\n')}\n`);
  for (const problem of problems.slice(0, PROBLEMS_SHOWN)) process.stdout.write(`WRONG ${problem}\n`);
  process.stdout.write(
    `${reconnects} reconnects of ${streams} streams in ${seconds.toFixed(0)} s; ${alerts} alerts, ${changes} requests of readers: ` +
      `${problems.length === 0 ? 'nothing missing, nothing twice' : `${problems.length} PROBLEMS`}\n`,
  );
}

async function main(): Promise<number> {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  // Each daemon, each role and each client adds a listener.
  process.setMaxListeners(100);
  const say = (line: string) => process.stderr.write(`${line}\n`);
  say(`seed ${options.seed}, ${options.reconnects} reconnects`);
  const timeoutMs = 60_000 + options.reconnects * RECONNECT_MS;
  const result = await onRealStack(options.gateways, (place) => runReconnects({ ...options, place, timeoutMs, say }));
  print(result);
  if (options.json !== undefined) {
    const { seed } = options;
    await writeFile(
      options.json,
      JSON.stringify({ seed, ...result, losses: Object.fromEntries(result.losses) }, null, 2),
    );
  }
  return result.problems.length === 0 ? 0 : 1;
}

process.exit(
  await main().catch((error: Error) => {
    process.stderr.write(`${error.stack}\n`);
    return 2;
  }),
);

import { type AlertClient, createClient } from '../../../services/client/client.js';
import { InboxHistory, keepHistory, type Sql } from '../../support/inbox-history.js';
import { Random } from '../../support/random.js';
import { type RecordFilter, StreamRecord } from '../../support/stream-record.js';
import { untilTrue } from '../../support/until-true.js';
import { Device, type Losses } from './device.js';
import { Traffic } from './traffic.js';

/** A running service. */
export interface Place {
  /** host:port of alert-api, and of each gateway. */
  readonly api: string;
  readonly gateways: readonly string[];
  readonly sql: Sql;
  /** At all gateways. */
  readonly openStreams: () => Promise<number>;
}

export interface ReconnectOptions {
  readonly place: Place;
  readonly seed: number;
  /** So many at least. */
  readonly reconnects: number;
  readonly people: number;
  /** In which they must have happened. */
  readonly timeoutMs: number;
  readonly say: (line: string) => void;
}

export interface ReconnectResult {
  readonly reconnects: number;
  readonly losses: Losses;
  readonly streams: number;
  readonly alerts: number;
  readonly changes: number;
  readonly seconds: number;
  readonly problems: readonly string[];
}

/** The devices of a person, and the streams of each. */
const DEVICES: readonly (readonly RecordFilter[])[] = [
  [{}, { unreadOnly: true }],
  [{ kinds: ['ALERT_KIND_GRAFANA', 'ALERT_KIND_ISSUE'] }],
  [{}, { kinds: ['ALERT_KIND_JENKINS'], minimumLevel: 'ALERT_LEVEL_WARNING', unreadOnly: true }],
  [{ minimumLevel: 'ALERT_LEVEL_ERROR' }],
];
const DEVICES_EACH = 2;
/** For the last changes to arrive, and for gateways to notice that clients have gone. */
const SETTLES_MS = 60_000;

/**
 * Has the product's own client lose its connections again and again while inboxes change, and compares what its streams
 * showed with what PostgreSQL noted of every change.
 */
export async function runReconnects(options: ReconnectOptions): Promise<ReconnectResult> {
  const { place } = options;
  const client = createClient({ address: place.api, identity: { caller: 'reconnects' }, timeoutMs: 30_000 });
  try {
    return await run(options, client);
  } finally {
    client.close();
  }
}

async function run(options: ReconnectOptions, client: AlertClient): Promise<ReconnectResult> {
  const { place, seed, say } = options;
  const started = performance.now();
  const random = new Random(seed);
  const people = Array.from({ length: options.people }, (_, index) => `restless-${index + 1}`);
  await client.upsertUsers({ users: people.map((userId) => ({ userId, department: 'RECONNECTS', active: true })) });
  await keepHistory(place.sql);
  const devices = await openDevices(place, people);
  const records = devices.flatMap((device) => device.records);
  const reconnects = () => devices.reduce((sum, device) => sum + device.reconnects, 0);
  const failures = () => devices.flatMap((device) => device.failures);
  const traffic = new Traffic(client, people, random.fork());
  let stopping = false;
  try {
    const running = Promise.all([
      traffic.run(() => stopping),
      ...devices.map((device) => device.suffer(random.fork(), () => stopping)),
    ]);
    const enough = untilTrue(() => reconnects() >= options.reconnects || failures().length > 0, {
      timeoutMs: options.timeoutMs,
      intervalMs: 100,
      what: () => `${options.reconnects} reconnects; there were ${reconnects()}`,
    }).finally(() => (stopping = true));
    await Promise.all([enough, running]);
    say(`${reconnects()} reconnects of ${records.length} streams, ${traffic.alerts.size} alerts; waiting for the rest`);
    const problems = [...failures(), ...(await compare(place, client, traffic, people, records))];
    await Promise.all(devices.map((device) => device.close()));
    const open = await untilTrue(async () => (await place.openStreams()) === 0, {
      timeoutMs: SETTLES_MS,
      what: 'no stream is open',
    }).catch(() => place.openStreams());
    if (open !== true) problems.push(`${open} streams are still open at the gateways`);
    return {
      reconnects: reconnects(),
      losses: sum(devices.map(({ losses }) => losses)),
      streams: records.length,
      alerts: traffic.alerts.size,
      changes: traffic.changes,
      seconds: (performance.now() - started) / 1000,
      problems,
    };
  } finally {
    stopping = true;
    await Promise.all(devices.map((device) => device.close()));
  }
}

async function openDevices(place: Place, people: readonly string[]): Promise<Device[]> {
  const [state] = await place.sql<{ epoch: number | string }>('SELECT epoch FROM service_state');
  const devices: Device[] = [];
  for (const [person, userId] of people.entries()) {
    for (let each = 0; each < DEVICES_EACH; each += 1) {
      const filters = DEVICES[(person * DEVICES_EACH + each) % DEVICES.length]!;
      const records = filters.map((filter, index) => {
        const name = `${userId}, device ${each + 1}, stream ${index + 1} ${JSON.stringify(filter)}`;
        return new StreamRecord(name, userId, filter, Number(state!.epoch));
      });
      devices.push(await Device.open(userId, place, records));
    }
  }
  return devices;
}

/** Waits until everything has arrived, and says what is not as it should be. */
async function compare(
  place: Place,
  client: AlertClient,
  traffic: Traffic,
  people: readonly string[],
  records: readonly StreamRecord[],
): Promise<string[]> {
  const problems: string[] = [];
  for (const userId of people) {
    const history = await untilTrue(() => complete(place.sql, userId, traffic.of(userId)), {
      timeoutMs: SETTLES_MS,
      what: `the inbox of ${userId} has its ${traffic.of(userId).length} alerts`,
    });
    const mine = records.filter((record) => record.userId === userId);
    await untilTrue(() => mine.every(({ position }) => position >= history.length), {
      timeoutMs: SETTLES_MS,
      what: '',
    }).catch(() => undefined); // what is missing is found below
    problems.push(...mine.flatMap((record) => record.problems(history, traffic.alerts)));
    // What the inbox itself says, by the API.
    const { unreadCount } = await client.getUnreadCount({ userId });
    if (unreadCount !== history.unreadAt(history.length))
      problems.push(`${userId}: GetUnreadCount says ${unreadCount}, the changes ${history.unreadAt(history.length)}`);
  }
  return problems;
}

/** The history of an inbox when it has all of these alerts, each once. */
async function complete(sql: Sql, userId: string, alertIds: readonly number[]): Promise<InboxHistory | undefined> {
  const history = await InboxHistory.of(sql, userId);
  return history.created >= alertIds.length ? history : undefined;
}

function sum(all: readonly Losses[]): Losses {
  const total: Losses = new Map();
  for (const losses of all) for (const [why, count] of losses) total.set(why, (total.get(why) ?? 0) + count);
  return new Map([...total].sort(([, a], [, b]) => b - a));
}

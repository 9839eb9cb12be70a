// Works off a large backlog on the real stack and checks how much memory each role takes: see deploy/README.md.
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import type { Daemon } from '#stack';
import { loadConfig, type Config } from '../../../services/lib/config/load.js';
import { Consumer } from '../../../services/lib/kafka/consumer.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { Roles } from '../../support/role-process.js';
import { environmentFor, stackFolder, startStack } from '../../support/stack.js';
import { until } from '../../support/until-true.js';
import { createLargeAlerts, fillDirectory, fillUserAlerts, userId, USERS } from './fill.js';
import { MemoryWatch, type Held } from './memory.js';
import { CountingStream } from './streams.js';

/** Megabytes that a role may hold resident; with the measured figures in deploy/README.md. */
const LIMIT_MB = 512;
const LARGE_ALERTS = 20_000;
const STREAMS = 300;
/** Of these, so many do not read until the backlog is worked off. */
const SLOW_STREAMS = 100;
const PATIENCE_MS = 900_000;

const say = (line: string) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);

/** Records that a group has not committed yet. */
async function lagOf(observer: Consumer, topic: string): Promise<number> {
  const partitions = await observer.partitionsOf(topic);
  const positions = await observer.committed(partitions.map((partition) => ({ topic, partition })));
  const behind = positions.map(async ({ partition, offset }) => {
    const { low, high } = await observer.watermarks(topic, partition);
    return high - Math.max(low, offset);
  });
  return (await Promise.all(behind)).reduce((sum, records) => sum + records, 0);
}

/** Waits until a group has read everything; how many seconds that took. */
async function workedOff(config: Config, topic: string, groupSuffix: string): Promise<number> {
  const started = performance.now();
  const brokers = { bootstrapServers: config.kafkaBootstrapServers, inProcess: false };
  const options = { clientId: 'backlog-observer', groupId: config.consumerGroup + groupSuffix };
  const observer = await Consumer.observe(brokers, config, silentLogger(), options);
  try {
    let saidAt = Date.now();
    await until(
      `${options.groupId} has read ${topic}`,
      async () => {
        const lag = await lagOf(observer, topic);
        if (Date.now() > saidAt + 15_000) {
          saidAt = Date.now();
          say(`  ${topic}: ${lag} records to go for ${options.groupId}`);
        }
        return lag === 0;
      },
      PATIENCE_MS,
    );
    return (performance.now() - started) / 1000;
  } finally {
    await observer.close();
  }
}

/** What is wrong with the inboxes: each must have all its rows, numbered from 1 without gaps, since a repeat takes a number. */
async function problemsOf(database: pg.Pool, rows: number): Promise<string[]> {
  const { rows: counted } = await database.query<{ rows: string; uneven: string; missing: string }>(
    `SELECT sum(n) AS rows, count(*) FILTER (WHERE last_seq <> n OR unread_count <> n) AS uneven,
            count(*) FILTER (WHERE lowest <> 1 OR highest <> n) AS missing
     FROM inboxes JOIN (
       SELECT user_id, count(*) AS n, min(seq) AS lowest, max(seq) AS highest FROM alert_statuses GROUP BY user_id
     ) s USING (user_id)`,
  );
  const { rows: found, uneven, missing } = counted[0]!;
  return [
    Number(found) === rows ? '' : `${found} rows are in the inboxes instead of ${rows}`,
    uneven === '0' ? '' : `${uneven} inboxes have handed out more or fewer numbers than they have rows`,
    missing === '0' ? '' : `${missing} inboxes have gaps`,
  ].filter((problem) => problem !== '');
}

function print(held: ReadonlyMap<string, Held>, seconds: Readonly<Record<string, [number, number]>>): void {
  const mb = (value: number) => value.toFixed(0).padStart(7);
  process.stdout.write(`\nrole             before   mean   peak  after  MB resident; limit ${LIMIT_MB}\n`);
  for (const [role, { before, mean, peak, after }] of held)
    process.stdout.write(`${role.padEnd(15)} ${mb(before)}${mb(mean)}${mb(peak)}${mb(after)}\n`);
  for (const [what, [records, took]] of Object.entries(seconds))
    process.stdout.write(`${what}: ${records} in ${took.toFixed(1)} s, ${Math.round(records / took)}/s\n`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { records: { type: 'string', default: '1000000' }, json: { type: 'string' } },
  });
  const records = Number(values.records);
  if (!Number.isInteger(records) || records < USERS)
    throw new Error(`--records must be a whole number from ${USERS} on`);
  const folder = stackFolder();
  const daemons: Daemon[] = [];
  const streams: CountingStream[] = [];
  let roles: Roles | undefined;
  let database: pg.Pool | undefined;
  try {
    say('starting PostgreSQL, Kafka and the registry');
    const { postgres, kafka, registry } = await startStack(folder.path);
    daemons.push(kafka, registry, postgres);
    database = new pg.Pool({ connectionString: postgres.url, max: 2 });
    const environment = environmentFor({ postgres: postgres.url, kafka: kafka.bootstrap, registry: registry.url });
    const config = loadConfig({ PROFILE: 'dev', ...environment });
    roles = new Roles({ ...environment, LOG_LEVEL: 'info' });

    const alertApi = await roles.start('alert-api').ready();
    await fillDirectory(database);
    const apiWatch = new MemoryWatch({ 'alert-api': alertApi.pid });
    say(`${LARGE_ALERTS} large alerts by CreateAlert`);
    const largeRows = await createLargeAlerts((await alertApi.listening()).grpc, LARGE_ALERTS);
    await until('all are published', async () => (await alertApi.metric('ssom_outbox_depth')) === 0);
    const held = apiWatch.stop();
    say(`${records} records into user-alert-topic`);
    await fillUserAlerts(config, database, records, (done) => say(`  ${done}`));

    const gateway = await roles.start('stream-gateway').ready();
    const { grpc: streamAddress } = await gateway.listening();
    for (let index = 0; index < STREAMS; index += 1) streams.push(new CountingStream(streamAddress, userId(index)));
    await until(
      () => `all streams are live; ${streams.find(({ problem }) => problem !== undefined)?.problem ?? 'no problem'}`,
      () => streams.every(({ live }) => live),
      PATIENCE_MS / 10,
    );
    const slow = streams.slice(0, SLOW_STREAMS);
    for (const stream of slow) stream.pause();

    say('fanout, delivery and push start; the gateway stands still meanwhile');
    gateway.signal('SIGSTOP');
    const workers = ['fanout', 'delivery', 'push'].map((role) => roles!.start(role));
    const watch = new MemoryWatch(Object.fromEntries(workers.map(({ role, pid }) => [role, pid])));
    const started = performance.now();
    await workedOff(config, 'alert-created-topic', '-fanout');
    const fannedOut = (performance.now() - started) / 1000;
    await workedOff(config, 'user-alert-topic', '');
    const delivered = (performance.now() - started) / 1000;
    await workedOff(config, 'inbox-change-topic', '-push');
    for (const [role, memory] of watch.stop()) held.set(role, memory);

    const rows = records + largeRows;
    say('the gateway goes on');
    const gatewayWatch = new MemoryWatch({ 'stream-gateway': gateway.pid });
    const continued = performance.now();
    gateway.signal('SIGCONT');
    const { rows: inboxes } = await database.query<{ user_id: string; last_seq: string }>(
      'SELECT user_id, last_seq FROM inboxes WHERE last_seq > 0',
    );
    const last = new Map(inboxes.map(({ user_id, last_seq }) => [user_id, Number(last_seq)]));
    const arrived = (some: readonly CountingStream[]) => () =>
      some.every((stream) => stream.problem !== undefined || stream.sequence >= last.get(stream.userId)!);
    await until('the streams that read have seen everything', arrived(streams.slice(SLOW_STREAMS)), PATIENCE_MS);
    for (const stream of slow) stream.resume();
    await until('those that did not read have caught up', arrived(slow), PATIENCE_MS);
    const streamed = (performance.now() - continued) / 1000;
    for (const [role, memory] of gatewayWatch.stop()) held.set(role, memory);

    const problems = [
      ...(await problemsOf(database, rows)),
      ...streams.flatMap(({ problem }) => problem ?? []),
      ...[...held]
        .filter(([, { peak }]) => peak > LIMIT_MB)
        .map(([role, { peak }]) => `${role} held ${peak.toFixed(0)} MB; the limit is ${LIMIT_MB}`),
    ];
    const changes = streams.reduce((sum, { sequence }) => sum + sequence, 0);
    const seconds: Record<string, [number, number]> = {
      'large alerts fanned out': [LARGE_ALERTS, fannedOut],
      'user-alerts delivered': [rows, delivered],
      [`changes to ${STREAMS} streams`]: [changes, streamed],
    };
    print(held, seconds);
    for (const problem of problems) process.stdout.write(`WRONG: ${problem}\n`);
    if (values.json !== undefined)
      await writeFile(
        values.json,
        JSON.stringify({ records, held: Object.fromEntries(held), seconds, problems }, null, 2),
      );
    return problems.length === 0 ? 0 : 1;
  } finally {
    for (const stream of streams) stream.close();
    await roles?.stop();
    await database?.end();
    await Promise.all(daemons.map((daemon) => daemon.stop()));
    folder.remove();
  }
}

process.exitCode = await main().catch((error: unknown) => {
  say((error as Error).stack ?? String(error));
  return 1;
});

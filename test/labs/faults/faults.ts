import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Random } from '../../support/random.js';
import { readTopic } from '../../support/raw-kafka.js';
import { until } from '../../support/until-true.js';
import { POISONED } from './poison-writer.js';
import { clockShift, steppedClock } from './clock-shift.js';
import type { ErrorName, Rule } from '../../fakes/fcm/control-types.js';
import type { Archive } from './archive.js';
import type { Findings } from './findings.js';
import type { Ledger } from './ledger.js';
import type { Traffic } from './traffic.js';
import { ROLE_NAMES, type RoleName } from '../../../services/domain/role-names.js';
import type { Slot, World } from './world.js';

/** What a fault has to work with. */
export interface Stage {
  readonly world: World;
  readonly traffic: Traffic;
  readonly ledger: Ledger;
  readonly findings: Findings;
  readonly archive: Archive;
  readonly random: Random;
  /** Nothing else is disturbed meanwhile, so that what callers notice comes from this fault. */
  readonly alone: boolean;
}

export interface Fault {
  readonly name: string;
  /** What it disturbs: two faults with nothing in common may go on at once. */
  readonly disturbs: readonly string[];
  /** Resolves when everything runs again. @returns when the cause was gone: from then on recovery counts */
  readonly run: (stage: Stage) => Promise<number>;
}

const FREEZE_MS = 15_000;
const OUTAGE_MS = 60_000;
const NETWORK_MS = 15_000;
/** SIGTERM finishes what is in hand within this. */
const STOP_MS = 10_000;
const BROKER_AWAY_MS = 10_000;
/** How long a killed process stays away, as an orchestrator would need to notice. */
const AWAY_MS = 1000;
/** Longer than two statements of the service may take, which are 10 s each. */
const HOLD_MS = 30_000;
/** Nobody may wait for so long because of somebody else's inbox. On two busy cores a probe may take 2 s at any time. */
const HELD_UP_MS = 5000;
/** Where a clock is moved to while it is read, one after the other. */
const STEPS = ['-1h', '+1h', '+0'];
const STEP_MS = 6000;
/** After an outage alerts arrive well within this, also by a clock that was moved meanwhile. */
const STEP_PATIENCE_MS = 30_000;

/** While Kafka is away a role may have to kill itself after its shutdown: its client holds a thread. */
async function stopInOrder(slot: Slot, { findings, alone }: Stage): Promise<void> {
  const { code, ms } = await slot.stop();
  if (ms > STOP_MS || (code !== 0 && (alone || code !== null)))
    findings.add('unclean end', `${slot.name}: exit code ${code ?? 'by force'} after ${Math.round(ms)} ms`);
}

function ofRole(role: RoleName): Fault[] {
  return [
    {
      name: `kill ${role}`,
      disturbs: [role],
      async run({ world, random }) {
        const slot = random.pick(world.of(role));
        await slot.kill();
        const killedAt = Date.now();
        await sleep(AWAY_MS);
        await slot.start();
        await slot.ready();
        return killedAt;
      },
    },
    {
      name: `freeze ${role}`,
      disturbs: [role],
      async run({ world, random }) {
        const { process } = random.pick(world.of(role));
        process!.signal('SIGSTOP');
        await sleep(FREEZE_MS);
        process!.signal('SIGCONT');
        return Date.now();
      },
    },
    {
      name: `roll ${role}`,
      disturbs: [role],
      async run(stage) {
        const { world, traffic, findings, alone } = stage;
        const before = new Map(traffic.callers.retries);
        let lastAt = 0;
        for (const slot of world.of(role)) {
          await stopInOrder(slot, stage);
          lastAt = Date.now();
          await slot.start();
          await slot.ready();
        }
        for (const [code, count] of traffic.callers.retries)
          if (alone && code !== 'UNAVAILABLE' && count > (before.get(code) ?? 0))
            findings.add('refused', `a rolling restart of ${role} made callers repeat after ${code}`);
        return lastAt;
      },
    },
  ];
}

/** Something that is wrong for a while. */
function lasting(
  name: string,
  disturbs: readonly string[],
  ms: number,
  begin: (stage: Stage) => Promise<void> | void,
  end: (stage: Stage) => Promise<void> | void,
): Fault {
  return {
    name,
    disturbs,
    async run(stage) {
      await begin(stage);
      try {
        await sleep(ms);
      } finally {
        await end(stage);
      }
      return Date.now();
    },
  };
}

/** How much PostgreSQL loses. */
const LOST_MS = 10_000;
/** Nothing else goes on beside what makes acknowledged things uncertain. */
const EVERYTHING = ['postgres', 'kafka', 'registry', 'api', 'gateway', 'fcm', 'directory', ...ROLE_NAMES];

/** Others' alerts and calls, while somebody or something is a nuisance. */
async function holdsUpNobody(
  { traffic, findings, alone }: Stage,
  what: string,
  nuisance: () => Promise<void>,
): Promise<void> {
  const exhausted = () => traffic.callers.retries.get('RESOURCE_EXHAUSTED') ?? 0;
  const before = exhausted();
  const from = Date.now();
  await nuisance();
  const longest = traffic.probe.longest(from, Date.now() - HELD_UP_MS);
  if (!alone) return;
  if (longest > HELD_UP_MS) findings.add('held up', `somebody else's alert took ${longest} ms ${what}`);
  if (exhausted() > before) findings.add('held up', `${exhausted() - before} calls of others were too many ${what}`);
}

const HELD = ['quiet-1', 'solo-1'];

/** What an operator, or a failover that stops half-way, does to a server whose connections stay. */
async function setReadOnly({ database }: World, readOnly: boolean): Promise<void> {
  await database.query(
    readOnly
      ? 'ALTER SYSTEM SET default_transaction_read_only = on'
      : 'ALTER SYSTEM RESET default_transaction_read_only',
  );
  await database.query('SELECT pg_reload_conf()');
}

const POSTGRES: readonly Fault[] = [
  {
    name: 'restart PostgreSQL',
    disturbs: ['postgres'],
    async run({ world }) {
      await world.postgres.stop();
      await world.startPostgres();
      return Date.now();
    },
  },
  {
    name: 'kill PostgreSQL',
    disturbs: ['postgres'],
    async run({ world }) {
      await world.postgres.kill();
      await sleep(AWAY_MS);
      await world.startPostgres();
      return Date.now();
    },
  },
  {
    name: 'end all PostgreSQL backends',
    disturbs: ['postgres'],
    async run({ world }) {
      for (let round = 0; round < 5; round += 1) {
        await world.database.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ssom-alert'`,
        );
        await sleep(500);
      }
      return Date.now();
    },
  },
  {
    name: 'exhaust PostgreSQL connections',
    disturbs: ['postgres'],
    async run({ world }) {
      const { rows } = await world.database.query<{ max: number }>(
        `SELECT current_setting('max_connections')::int AS max`,
      );
      const hoarders: pg.Client[] = [];
      const hoard = async () => {
        while (hoarders.length <= rows[0]!.max) {
          const client = new pg.Client({ connectionString: world.postgres.url, application_name: 'hoarder' });
          client.on('error', () => undefined);
          await client.connect();
          hoarders.push(client);
        }
      };
      const until = Date.now() + NETWORK_MS;
      while (Date.now() < until) {
        await hoard().catch(() => undefined);
        // Those that the roles hold already are taken from them, so that they have to ask for new ones.
        await world.database
          .query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ssom-alert'`)
          .catch(() => undefined);
        await sleep(500);
      }
      await Promise.all(hoarders.map((client) => client.end().catch(() => undefined)));
      return Date.now();
    },
  },
  lasting(
    'PostgreSQL read-only',
    ['postgres'],
    NETWORK_MS,
    ({ world }) => setReadOnly(world, true),
    ({ world }) => setReadOnly(world, false),
  ),
  lasting(
    'PostgreSQL demoted to a standby',
    ['postgres'],
    NETWORK_MS,
    ({ world }) => world.demotePostgres(),
    ({ world }) => world.promotePostgres(),
  ),
  {
    name: 'clock of PostgreSQL steps',
    disturbs: ['postgres'],
    async run({ world }) {
      const clock = steppedClock();
      await world.postgres.stop();
      await world.startPostgres(clock.environment);
      for (const shift of STEPS) {
        clock.step(shift);
        await sleep(STEP_MS);
      }
      await world.postgres.stop();
      await world.startPostgres();
      return Date.now();
    },
  },
  {
    name: 'PostgreSQL loses its last commits',
    disturbs: EVERYTHING,
    async run({ world, ledger }) {
      const keptUntil = await world.copyPostgres();
      await sleep(LOST_MS);
      await world.restorePostgres();
      ledger.lostCommits(keptUntil, Date.now());
      return Date.now();
    },
  },
  {
    name: 'inboxes that somebody holds',
    disturbs: ['postgres', 'delivery'],
    async run(stage) {
      const holder = await stage.world.database.connect();
      await holdsUpNobody(stage, 'while an inbox was held', async () => {
        try {
          await holder.query('BEGIN');
          // One whose owner only gets alerts, and one whose owner also reads them.
          await holder.query('SELECT FROM inboxes WHERE user_id = ANY($1) ORDER BY user_id FOR UPDATE', [HELD]);
          await sleep(HOLD_MS);
        } finally {
          await holder.query('ROLLBACK').catch(() => undefined);
          holder.release();
        }
      });
      return Date.now();
    },
  },
  lasting(
    'PostgreSQL disk full',
    ['postgres'],
    NETWORK_MS,
    async ({ world }) => {
      // A real server's answer to an insert when its disk is full.
      await world.database.query(`
        CREATE OR REPLACE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$
          BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$`);
      for (const table of ['alerts', 'alert_statuses', 'outbox', 'alert_progress'])
        await world.database.query(
          `CREATE TRIGGER disk_full BEFORE INSERT OR UPDATE ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION disk_full()`,
        );
    },
    async ({ world }) => {
      for (const table of ['alerts', 'alert_statuses', 'outbox', 'alert_progress'])
        await world.database.query(`DROP TRIGGER disk_full ON ${table}`);
    },
  ),
];

/** While Kafka is away CreateAlert goes on: no caller has to repeat anything. */
function unnoticedByCallers(fault: Fault): Fault {
  return {
    ...fault,
    async run(stage) {
      let overAt = 0;
      const repeated = await stage.traffic.callers.repeatedWhile(async () => {
        overAt = await fault.run(stage);
      });
      if (stage.alone && repeated > 0)
        stage.findings.add('refused', `${fault.name}: callers had to repeat ${repeated} calls`);
      return overAt;
    },
  };
}

function killBroker(name: string, choose: (stage: Stage) => number | Promise<number>): Fault {
  return {
    name,
    disturbs: ['kafka'],
    async run(stage) {
      const { brokers } = stage.world.kafka;
      await brokers[await choose(stage)]!.kill();
      const killedAt = Date.now();
      await sleep(BROKER_AWAY_MS);
      await stage.world.startBrokers();
      return killedAt;
    },
  };
}

const KAFKA: readonly Fault[] = [
  killBroker('kill a broker', ({ world, random }) => random.int(0, world.kafka.brokers.length - 1)),
  killBroker('kill the controller', ({ world }) => world.controller()),
  {
    name: 'all brokers down',
    disturbs: ['kafka'],
    async run({ world }) {
      await Promise.all(world.kafka.brokers.map((broker) => broker.kill()));
      await sleep(OUTAGE_MS);
      await world.startBrokers();
      return Date.now();
    },
  },
  {
    name: 'wipe Kafka',
    disturbs: ['kafka'],
    async run({ world, archive }) {
      await archive.add(world, Date.now());
      await world.wipeKafka(AWAY_MS);
      return Date.now();
    },
  },
];

const DLQ_AWAY_MS = 20_000;
/** The service tries after 5 s, 10 s, and so on. */
const DLQ_PATIENCE_MS = 90_000;
const SMALL_BYTES = 3000;
const LARGE_ALERTS = 5;
const GREED = 20;

/** How many alerts alert-api has given up to publish. Their dead letters go when the alerts have arrived otherwise. */
async function buriedAlerts(world: World): Promise<number> {
  const counts = await Promise.all(
    world.of('alert-api').map(({ process }) => process!.metric('ssom_dead_letters_total')),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

const NUISANCES: readonly Fault[] = [
  {
    name: 'a dead-letter topic is missing',
    disturbs: ['kafka', 'fanout', 'delivery'],
    async run(stage) {
      const { world, traffic, archive, findings, random } = stage;
      const topic = random.pick(POISONED);
      await traffic.poison.pausedFor(async () => {
        await archive.add(world, Date.now(), [`${topic}-dlq`]);
        await world.deleteTopic(`${topic}-dlq`);
      });
      const before = traffic.poison.written.length;
      await holdsUpNobody(stage, 'while a dead-letter topic was missing', async () => {
        for (let count = 0; count < 3; count += 1) await traffic.poison.write(topic);
        await sleep(DLQ_AWAY_MS);
      });
      await world.createTopics();
      const overAt = Date.now();
      const written = traffic.poison.written
        .slice(before)
        .filter((each) => each.topic === topic && each.writtenAt < overAt);
      const isThere = async () => {
        const { records } = await readTopic(world.kafka.bootstrap, `${topic}-dlq`).catch(() => ({ records: [] }));
        return written.every(({ value }) => records.some((record) => record.value.equals(value)));
      };
      while (!(await isThere()) && Date.now() < overAt + DLQ_PATIENCE_MS) await sleep(1000);
      if (!(await isThere()))
        findings.add('no dead letter', `what waited for ${topic}-dlq is not there after ${DLQ_PATIENCE_MS / 1000} s`);
      return overAt;
    },
  },
  {
    name: 'alerts that Kafka refuses',
    disturbs: ['kafka'],
    async run(stage) {
      const { world, traffic, findings, random, alone } = stage;
      const before = await buriedAlerts(world);
      await world.setMaxMessageBytes('alert-created-topic', SMALL_BYTES);
      try {
        await holdsUpNobody(stage, 'beside some that Kafka refuses', async () => {
          for (let count = 0; count < LARGE_ALERTS; count += 1) {
            const { alertId } = await traffic.createLarge(random.pick(traffic.phones.users));
            traffic.refusedByKafka.add(alertId);
          }
          await sleep(NETWORK_MS);
        });
        const buried = (await buriedAlerts(world)) - before;
        if (alone && buried !== LARGE_ALERTS)
          findings.add('no dead letter', `Kafka refused ${LARGE_ALERTS} alerts, and ${buried} became dead letters`);
      } finally {
        await world.setMaxMessageBytes('alert-created-topic', undefined);
      }
      return Date.now();
    },
  },
  {
    name: 'a greedy caller',
    disturbs: ['api', 'alert-api', 'postgres', 'kafka'],
    async run(stage) {
      await holdsUpNobody(stage, 'beside a greedy caller', () => stage.traffic.beGreedy(NETWORK_MS, GREED));
      return Date.now();
    },
  },
];

const REGISTRY: readonly Fault[] = [
  {
    name: 'registry down',
    disturbs: ['registry', 'delivery'],
    async run({ world, random }) {
      await world.registry.kill();
      // One that starts meanwhile has no schemas yet: it waits, and the others do its work.
      const slot = random.pick(world.of('delivery'));
      await slot.kill();
      await slot.start();
      await sleep(OUTAGE_MS);
      await world.startRegistry();
      const upAt = Date.now();
      await slot.ready();
      return upAt;
    },
  },
];

const WAYS = ['postgres', 'kafka', 'registry', 'api', 'gateway'] as const;

function networkFaults(way: keyof World['networks']): Fault[] {
  return [
    lasting(
      `cut the network to ${way}`,
      [way],
      NETWORK_MS,
      ({ world }) => world.networks[way].cut(),
      ({ world }) => world.networks[way].heal(),
    ),
    lasting(
      `lose every packet to ${way}`,
      [way],
      NETWORK_MS,
      ({ world }) => world.networks[way].silence(),
      ({ world }) => world.networks[way].heal(),
    ),
    {
      name: `half-open connections to ${way}`,
      disturbs: [way],
      run: ({ world }: Stage) => {
        world.networks[way].halfOpen();
        return Promise.resolve(Date.now());
      },
    },
    lasting(
      `300 ms of delay to ${way}`,
      [way],
      NETWORK_MS,
      ({ world }) => world.networks[way].delay(300),
      ({ world }) => world.networks[way].heal(),
    ),
  ];
}

interface Hopeless {
  readonly name: string;
  readonly rule: Rule;
  readonly lettersMax: number;
}

/** What FCM says of one phone. Google asks for a wait with a 429. Letters: ten refusals in a row, and what is on its way then. */
const HOPELESS: readonly Hopeless[] = [
  { name: 'over its quota', rule: { error: 'QUOTA_EXCEEDED', retryAfter: 10 }, lettersMax: 0 },
  { name: 'token refused', rule: { error: 'INVALID_ARGUMENT' }, lettersMax: 0 },
  { name: 'messages refused', rule: { error: 'INVALID_ARGUMENT', validateOnly: false }, lettersMax: 20 },
  { name: 'errors', rule: { error: 'INTERNAL' }, lettersMax: 20 },
];
const HOPELESS_MS = 30_000;
/** After an outage of FCM what has waited is pushed within this: a phone that was refused waits for up to 16 s, the role for a minute. */
const PUSH_PATIENCE_MS = 90_000;

function hopelessPhone({ name, rule, lettersMax }: Hopeless): Fault {
  return {
    name: `a hopeless phone: ${name}`,
    // Where its dead letters lie must not go meanwhile.
    disturbs: ['push', 'fcm', 'kafka'],
    async run({ world, traffic: { phones, probe }, findings, random, alone }) {
      const userId = random.pick(phones.busy);
      phones.hopeless.push({ userId, lettersMax });
      const from = Date.now();
      const id = await world.fcm.rule({ token: phones.token(userId), ...rule });
      await sleep(HOPELESS_MS);
      const until = Date.now() - HELD_UP_MS;
      const longest = Math.max(0, ...(await phones.taken(from, until)));
      await world.fcm.removeRule(id);
      // What alerts took to the streams meanwhile is the machine's.
      const beyond = longest - probe.longest(from, until);
      if (alone && beyond > HELD_UP_MS)
        findings.add('held up', `a CRITICAL push to somebody else's phone took ${longest} ms`);
      return Date.now();
    },
  };
}

/** What had to wait for FCM is pushed soon after it is back. */
function pushedAfterwards(fault: Fault): Fault {
  return {
    ...fault,
    async run(stage) {
      const { traffic, findings, alone } = stage;
      const from = Date.now();
      const overAt = await fault.run(stage);
      const isOver = async () => (await traffic.phones.taken(from, overAt)).every(Number.isFinite);
      while (!(await isOver()) && Date.now() < overAt + PUSH_PATIENCE_MS) await sleep(1000);
      if (alone && !(await isOver()))
        findings.add(
          'not recovered',
          `${fault.name}: what had waited is not pushed after ${PUSH_PATIENCE_MS / 1000} s`,
        );
      return overAt;
    },
  };
}

/** FCM answers, and takes nothing from anybody. */
function fcmRefuses(name: string, error: ErrorName, retryAfter?: number): Fault {
  return {
    name,
    disturbs: ['push', 'fcm'],
    async run({ world }) {
      const rule = await world.fcm.rule({ error, ...(retryAfter === undefined ? {} : { retryAfter }) });
      await sleep(NETWORK_MS);
      await world.fcm.removeRule(rule);
      return Date.now();
    },
  };
}

const FCM: readonly Fault[] = [
  ...HOPELESS.map(hopelessPhone),
  ...[
    fcmRefuses('FCM over its quota', 'QUOTA_EXCEEDED', 2),
    fcmRefuses('FCM unavailable', 'UNAVAILABLE'),
    ...networkFaults('fcm'),
  ].map(pushedAfterwards),
];

function clockFault(role: RoleName): Fault {
  return {
    name: `clock of ${role} 1 h off`,
    disturbs: [role],
    async run(stage) {
      const { world, random } = stage;
      const slot = random.pick(world.of(role));
      const shifted = clockShift(random.pick(['+1h', '-1h']));
      await stopInOrder(slot, stage);
      await slot.start(shifted);
      await slot.ready();
      await sleep(NETWORK_MS);
      await stopInOrder(slot, stage);
      await slot.start();
      await slot.ready();
      return Date.now();
    },
  };
}

/** The clock is moved while the role waits for PostgreSQL: such a wait must end when it would have ended anyway. */
function steppedClockFault(role: RoleName): Fault {
  const name = `clock of ${role} steps`;
  return {
    name,
    disturbs: [role, 'postgres'],
    async run(stage) {
      const { world, traffic, findings, alone } = stage;
      const slot = stage.random.pick(world.of(role));
      const clock = steppedClock();
      await stopInOrder(slot, stage);
      await slot.start(clock.environment);
      await slot.ready();
      for (const shift of STEPS) {
        world.networks.postgres.cut();
        await sleep(STEP_MS / 2);
        clock.step(shift);
        await sleep(STEP_MS / 2);
        world.networks.postgres.heal();
        const healedAt = Date.now();
        while (traffic.probe.wellFrom(healedAt) === undefined && Date.now() < healedAt + STEP_PATIENCE_MS)
          await sleep(100);
        if (alone && traffic.probe.wellFrom(healedAt) === undefined)
          findings.add('not recovered', `${name}: alerts do not arrive within 1 s while it is at ${shift}`);
      }
      await stopInOrder(slot, stage);
      await slot.start();
      await slot.ready();
      return Date.now();
    },
  };
}

const DIRECTORY: Fault = {
  name: 'directory changes and deactivations',
  disturbs: ['directory'],
  async run({ traffic, random }) {
    const end = Date.now() + NETWORK_MS;
    while (Date.now() < end) {
      const { userId } = random.pick(traffic.movers);
      const department = random.pick(['OPERATION', 'CORE_BANK', 'CHANNEL', 'PAYROLL']);
      await traffic.changeDirectory([{ userId, department, active: random.chance(0.7) }]);
      await sleep(random.int(10, 200));
    }
    await traffic.changeDirectory(traffic.movers);
    return Date.now();
  },
};

const RECONNECTS = 1000;

const STREAMS: Fault = {
  name: `${RECONNECTS} forced stream reconnects`,
  disturbs: ['gateway', 'stream-gateway'],
  async run({ world, traffic }) {
    const losses = () => traffic.streams.reduce((sum, stream) => sum + stream.losses, 0);
    const goal = losses() + RECONNECTS;
    await until(
      () => `${RECONNECTS} streams were lost; ${goal - losses()} are left`,
      async () => {
        world.networks.gateway.reset();
        await sleep(300);
        return losses() >= goal;
      },
      120_000,
    );
    return Date.now();
  },
};

/** Every fault there is, in the order in which they are listed. */
export const FAULTS: readonly Fault[] = [
  ...ROLE_NAMES.flatMap(ofRole),
  ...POSTGRES,
  ...KAFKA.map(unnoticedByCallers),
  ...NUISANCES,
  ...REGISTRY,
  ...WAYS.flatMap(networkFaults),
  ...FCM,
  ...ROLE_NAMES.map(clockFault),
  ...ROLE_NAMES.map(steppedClockFault),
  DIRECTORY,
  STREAMS,
];

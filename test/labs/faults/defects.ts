import { setTimeout as sleep } from 'node:timers/promises';
import { RdKafka } from '@confluentinc/kafka-javascript';
import type { RoleName } from '../../../services/domain/role-names.js';
import type { Environment } from '../../support/role-process.js';
import { until } from '../../support/until-true.js';
import { FAULTS } from './faults.js';
import type { Fault, Stage } from './faults/fault.js';
import type { Kind } from './findings.js';
import type { Slot, World } from './world.js';

/** The service with something wrong in it, and the fault that must bring it to light. */
export interface Defect {
  /** Also the name of the file in defects/ that its roles run instead of services/launch/main.js. */
  readonly name: string;
  readonly roles: readonly RoleName[];
  /** The database, before there is traffic. */
  readonly prepare?: (world: World) => Promise<void>;
  readonly environment?: Environment;
  readonly fault: Fault;
  /** One of these must be found. */
  readonly caughtAs: readonly Kind[];
}

function faultNamed(name: string): Fault {
  const fault = FAULTS.find((each) => each.name === name);
  if (fault === undefined) throw new Error(`no fault is called '${name}'`);
  return fault;
}

async function restart(slots: readonly Slot[]): Promise<void> {
  await Promise.all(slots.map((slot) => slot.kill()));
  await Promise.all(slots.map((slot) => slot.start()));
  await Promise.all(slots.map((slot) => slot.ready()));
}

/** Delivery dies in the middle of batches that PostgreSQL is slow to answer. */
const killSlowDelivery: Fault['run'] = async ({ world, traffic }) => {
  for (let round = 0; round < 3; round += 1) {
    world.networks.postgres.delay(300);
    await sleep(1500);
    await Promise.all(world.of('delivery').map((slot) => slot.kill()));
    world.networks.postgres.heal();
    await restart(world.of('delivery'));
    const restartedAt = Date.now();
    // Members that died keep their partitions until their sessions end: before that there is nothing to disturb.
    await until('alerts arrive again', () => traffic.probe.wellFrom(restartedAt));
  }
  return Date.now();
};

/** Every record of user-alert-topic comes a second time. */
async function replayDelivery({ world }: Stage): Promise<void> {
  await Promise.all(world.of('delivery').map((slot) => slot.kill()));
  const admin = RdKafka.AdminClient.create({ 'bootstrap.servers': world.kafka.bootstrap });
  try {
    await until('the group of delivery is empty and gone', async () => {
      const [report] = await new Promise<{ error?: { code: number } }[]>((resolve, reject) => {
        admin.deleteGroups(['ssom-alert-consumer-dev'], {}, (error, reports) =>
          error ? reject(new Error(error.message)) : resolve(reports),
        );
      });
      return report?.error === undefined;
    });
  } finally {
    admin.disconnect();
  }
  await restart(world.of('delivery'));
}

export const DEFECTS: readonly Defect[] = [
  {
    name: 'commit-before-processing',
    roles: ['delivery'],
    fault: { name: 'delivery killed while PostgreSQL is slow', disturbs: [], run: killSlowDelivery },
    caughtAs: ['lost'],
  },
  {
    name: 'no-outbox-sweep',
    roles: ['alert-api'],
    fault: {
      name: 'alert-api killed while Kafka is out of its reach',
      disturbs: [],
      async run({ world }) {
        world.networks.apiKafka.cut();
        await sleep(4000);
        await restart(world.of('alert-api'));
        world.networks.apiKafka.heal();
        return Date.now();
      },
    },
    caughtAs: ['lost'],
  },
  {
    name: 'unique-key-dropped',
    roles: [],
    async prepare({ database }) {
      await database.query(`
        ALTER TABLE alert_statuses DROP CONSTRAINT alert_statuses_pkey;
        CREATE INDEX ON alert_statuses (user_id, alert_id)`);
    },
    fault: { name: 'every user alert comes again', disturbs: [], run: (stage) => replayDelivery(stage).then(Date.now) },
    caughtAs: ['doubled'],
  },
  {
    name: 'gap-detection-off',
    roles: ['stream-gateway'],
    fault: {
      name: 'delivery killed while PostgreSQL is slow',
      disturbs: [],
      run: killSlowDelivery,
    },
    caughtAs: ['gap'],
  },
  {
    name: 'sequence-outside-the-transaction',
    roles: ['delivery'],
    fault: {
      name: 'streams that reconnect all the time',
      disturbs: [],
      async run({ world }) {
        for (let round = 0; round < 24; round += 1) {
          world.networks.gateway.reset();
          await sleep(500);
        }
        return Date.now();
      },
    },
    caughtAs: ['gap'],
  },
  {
    name: 'dead-letters-in-an-outage',
    roles: ['fanout', 'delivery'],
    fault: faultNamed('PostgreSQL disk full'),
    caughtAs: ['dead letter', 'lost'],
  },
  {
    name: 'time-outs-blame-the-record',
    roles: ['delivery'],
    fault: faultNamed('inboxes that somebody holds'),
    caughtAs: ['dead letter', 'lost', 'held up'],
  },
  {
    name: 'read-only-is-a-bug',
    roles: ['alert-api'],
    fault: faultNamed('PostgreSQL read-only'),
    caughtAs: ['refused'],
  },
  {
    name: 'waits-by-the-wall-clock',
    roles: ['delivery'],
    fault: faultNamed('clock of delivery steps'),
    caughtAs: ['not recovered'],
  },
  {
    name: 'one-device-pauses-all',
    roles: ['push'],
    fault: faultNamed('a hopeless phone: over its quota'),
    caughtAs: ['held up'],
  },
  {
    name: 'replay-describes-the-event',
    roles: ['delivery'],
    // Otherwise the gateway reads PostgreSQL before the replay comes.
    environment: { STREAM_HEAL_INTERVAL_MS: '60000' },
    fault: {
      name: 'a replay while changes by readers are held up',
      disturbs: [],
      async run(stage) {
        stage.world.networks.apiKafka.silence();
        await sleep(6000);
        await replayDelivery(stage);
        await sleep(6000);
        stage.world.networks.apiKafka.heal();
        return Date.now();
      },
    },
    caughtAs: ['gap', 'wrong order', 'doubled'],
  },
];

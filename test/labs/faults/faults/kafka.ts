import { setTimeout as sleep } from 'node:timers/promises';
import { AWAY_MS, type Fault, OUTAGE_MS, type Stage } from './fault.js';

const BROKER_AWAY_MS = 10_000;

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

const BROKERS: readonly Fault[] = [
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

export const KAFKA: readonly Fault[] = BROKERS.map(unnoticedByCallers);

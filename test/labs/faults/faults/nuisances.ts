import { setTimeout as sleep } from 'node:timers/promises';
import { readTopic } from '../../../support/raw-kafka.js';
import { POISONED } from '../poison-writer.js';
import type { World } from '../world.js';
import { type Fault, holdsUpNobody, NETWORK_MS } from './fault.js';

const DLQ_AWAY_MS = 20_000;
/** The service tries after 5 s, 10 s, and so on. */
const DLQ_PATIENCE_MS = 90_000;
const SMALL_BYTES = 3000;
const LARGE_ALERTS = 5;
const GREED = 20;

/** How many alerts alert-api has given up to publish. Their dead letters go when the alerts have arrived otherwise. */
async function refusedAlerts(world: World): Promise<number> {
  const counts = await Promise.all(
    world.of('alert-api').map(({ process }) => process!.metric('ssom_dead_letters_total')),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Records and callers that must not hold up the others. */
export const NUISANCES: readonly Fault[] = [
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
      const before = await refusedAlerts(world);
      await world.setMaxMessageBytes('alert-created-topic', SMALL_BYTES);
      try {
        await holdsUpNobody(stage, 'beside some that Kafka refuses', async () => {
          for (let count = 0; count < LARGE_ALERTS; count += 1) {
            const { alertId } = await traffic.createLarge(random.pick(traffic.phones.users));
            traffic.refusedByKafka.add(alertId);
          }
          await sleep(NETWORK_MS);
        });
        const refused = (await refusedAlerts(world)) - before;
        if (alone && refused !== LARGE_ALERTS)
          findings.add('no dead letter', `Kafka refused ${LARGE_ALERTS} alerts, and ${refused} became dead letters`);
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

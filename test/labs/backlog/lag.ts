import { groupOf, type GroupRole } from '../../../services/events/groups.js';
import type { Config } from '../../../services/lib/config/load.js';
import { Consumer } from '../../../services/lib/kafka/consumer.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { until } from '../../support/until-true.js';
import type { Say } from '../frame/command-line.js';

const SAY_EVERY_MS = 15_000;

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

export interface Awaited {
  /** Whose group it is. */
  readonly role: GroupRole;
  readonly timeoutMs: number;
  readonly say: Say;
}

/** Waits until a group has read everything. */
export async function workedOff(config: Config, { role, timeoutMs, say }: Awaited): Promise<void> {
  const brokers = { bootstrapServers: config.kafkaBootstrapServers, inProcess: false };
  const { topic, group: groupId } = groupOf(role, config);
  const options = { clientId: 'backlog-observer', groupId };
  const observer = await Consumer.observe(brokers, config, silentLogger(), options);
  try {
    let saidAt = performance.now();
    const done = async () => {
      const lag = await lagOf(observer, topic);
      if (performance.now() > saidAt + SAY_EVERY_MS) {
        saidAt = performance.now();
        say(`  ${topic}: ${lag} records to go for ${options.groupId}`);
      }
      return lag === 0;
    };
    await until(`${options.groupId} has read ${topic}`, done, timeoutMs);
  } finally {
    await observer.close();
  }
}

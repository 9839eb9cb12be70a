import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { UserAlertEvent } from '../../../services/events/event-types.js';
import { AvroCodec } from '../../../services/lib/avro.js';
import { classify } from '../../../services/lib/kafka/failure.js';
import { silentLogger } from '../../../services/lib/logging.js';
import { RegistryClient } from '../../../services/lib/registry/client.js';
import { ROOT } from '../../../services/lib/root.js';
import { until } from '../../support/until-true.js';
import { wrongAnswer } from './answers.js';
import { RawWriter, type WrittenRecord } from './kafka-client.js';
import { READERS } from './people.js';
import { createProbe } from './probe.js';
import type { Random } from './random.js';
import { RegistryProxy } from './registry-proxy.js';
import type { World } from './world.js';

const PART = 'registry answers';
/**
 * Of all answers, those that reach the roles: each holds a partition up until the next try, a few tenths of a second.
 */
const BY_ROLES = 1 / 100;
/** So many at once: the tries of one batch lie further apart each time, up to 5 s. */
const WAVE = 4;
const READER = READERS[0]!;
const PATIENCE_MS = 60_000;
const HASTY_MS = 200;
/** Far above what the real registry gives out. */
let nextId = 1_500_000_000;

const OURS = readFileSync(join(ROOT, 'schemas', 'user-alert-topic-value', 'v1.avsc'), 'utf8');

/** A version of the record that nobody registered: ours and one field more. */
function newVersion(id: number): string {
  const schema = JSON.parse(OURS) as { fields: unknown[] };
  return JSON.stringify({ ...schema, fields: [...schema.fields, { name: `added${id}`, type: 'long', default: 0 }] });
}

/** Gives the client wrong answers, directly and through the roles. None may make a record a dead letter. */
export async function fuzzRegistry(world: World, random: Random, inputs: number): Promise<void> {
  const byRoles = Math.ceil(inputs * BY_ROLES);
  await askDirectly(world, random, inputs - byRoles);
  await askThroughRoles(world, random, byRoles);
}

/** The client and the codec as the roles use them, in this process: thousands of answers in seconds. */
async function askDirectly({ stack, report }: World, random: Random, inputs: number): Promise<void> {
  const proxy = await RegistryProxy.start(stack.registry.url);
  try {
    for (let count = 0; count < inputs; count += 1) {
      const id = nextId++;
      const schema = newVersion(id);
      const answer = wrongAnswer(random, schema, count % 20 === 0);
      // The client asks twice.
      proxy.add(id, schema, [answer, answer]);
      // A client for each, since its circuit breaker would refuse to ask after a few failures; in a hurry, for those
      // answers that never end, and then with the patience of the roles.
      const options = { url: proxy.url, username: '', password: '' };
      const hasty = new RegistryClient({ ...options, timeoutMs: HASTY_MS }, silentLogger());
      const patient = new RegistryClient(options, silentLogger());
      const record = writtenBy(id, schema, 7, 'somebody');
      // A codec for each, since it does not ask again for a moment after a failure.
      const decode = (client: RegistryClient) =>
        new AvroCodec<UserAlertEvent>(OURS, 1, (writer) => client.schemaById(writer)).decode(record);
      const failure = await decode(hasty).then(() => 'decoded', classify);
      report.input(PART, answer.kind, failure);
      if (failure !== 'outage') report.fail(PART, `${answer.kind} must be an outage, not ${failure}`, schema);
      // What is no outage of a server is not asked for twice, nor over a connection that an earlier answer cut.
      while (proxy.unasked > 0) await decode(patient).catch(() => undefined);
      const again = await decode(patient).then(
        ({ userId }) => userId,
        (error: Error) => error.message,
      );
      if (again !== 'somebody')
        report.fail(PART, `after ${answer.kind} the right answer does not help: ${again}`, schema);
      hasty.breaker.close();
      patient.breaker.close();
    }
  } finally {
    await proxy.close();
  }
}

/** Records of versions about which the registry lies before it tells the truth, for delivery. All must arrive. */
async function askThroughRoles(world: World, random: Random, inputs: number): Promise<void> {
  const { registry, report } = world;
  const writer = await RawWriter.connect(world.stack.kafka.bootstrap);
  try {
    for (let left = inputs; left > 0; left -= WAVE) {
      const records: WrittenRecord[] = [];
      for (let count = Math.min(WAVE, left); count > 0; count -= 1) {
        const alertId = await createProbe(world, random);
        const id = nextId++;
        const schema = newVersion(id);
        const wrong = wrongAnswer(random, schema, true);
        registry.add(id, schema, [wrong]);
        // The alert was created for a probe: for this reader only our record can bring it.
        const value = writtenBy(id, schema, alertId, READER);
        records.push({ topic: 'user-alert-topic', key: Buffer.from(READER), value, headers: [] });
        world.expect(alertId, [READER]);
        report.input(PART, `to the roles: ${wrong.kind}`, 'given');
      }
      await writer.write(records);
      const unasked = () => `${registry.unasked} wrong answers were not asked for`;
      await until(unasked, () => registry.unasked === 0, PATIENCE_MS);
    }
  } finally {
    await writer.close();
  }
}

function writtenBy(id: number, schema: string, alertId: number, userId: string): Buffer {
  const codec = new AvroCodec(schema, id, () => Promise.reject(new Error('not asked')));
  return codec.encode({ alertId, userId, [`added${id}`]: 5 });
}

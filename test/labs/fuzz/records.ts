import type { AlertCreatedEvent, InboxChangedEvent, UserAlertEvent } from '../../../services/events/event-types.js';
import type { Events } from '../../../services/events/events.js';
import type { Header, WrittenRecord } from './kafka-client.js';
import { PROBES, VICTIMS } from './people.js';
import type { Random } from './random.js';
import { text } from './text.js';

/** What a record may be about. */
export interface Material {
  readonly events: Events;
  /** Alerts that exist. */
  readonly alertIds: readonly number[];
}

export interface FuzzedRecord extends WrittenRecord {
  readonly kind: string;
}

/** What avsc writes at most. */
const LARGEST = Number.MAX_SAFE_INTEGER - 1;

type Topic = keyof Events['topics'];

/** Beyond any id that the run gives out. */
const NO_SUCH_ALERT = 5_000_000_000;

/** A record for one of the three topics, most of them broken. */
export function anyRecord(random: Random, material: Material): FuzzedRecord {
  const topic = random.pick<Topic>(['alertCreated', 'userAlert', 'userAlert', 'inboxChange']);
  const { kind, value } = anyValue(topic, random, material);
  return {
    topic: material.events.topics[topic],
    kind: `${material.events.topics[topic]}, ${kind}`,
    key: anyKey(topic, random),
    value,
    headers: random.chance(0.5) ? [] : anyHeaders(random),
  };
}

function anyValue(topic: Topic, random: Random, material: Material): { kind: string; value: Buffer | null } {
  const valid = () => encoded(topic, random, material, random.pick(material.alertIds));
  switch (random.int(0, 14)) {
    case 0:
      return { kind: 'repeated', value: valid() };
    case 1:
      return { kind: 'random bytes', value: random.bytes(random.int(0, 300)) };
    case 2:
      return { kind: 'random Avro', value: Buffer.concat([valid().subarray(0, 5), random.bytes(random.int(0, 100))]) };
    case 3: {
      const bytes = valid();
      return { kind: 'truncated', value: bytes.subarray(0, random.int(0, bytes.length - 1)) };
    }
    case 4:
      return { kind: 'extended', value: Buffer.concat([valid(), random.bytes(random.int(1, 100))]) };
    case 5: {
      const bytes = valid();
      bytes[0] = random.int(1, 255);
      return { kind: 'wrong magic byte', value: bytes };
    }
    case 6: {
      const bytes = valid();
      bytes.writeUInt32BE(random.pick([0, 1000, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]), 1);
      return { kind: 'unknown schema', value: bytes };
    }
    case 7:
      return { kind: 'no value', value: null };
    case 8:
      return { kind: 'empty value', value: Buffer.alloc(0) };
    case 9:
    case 10:
      return { kind: 'bytes changed', value: random.mutate(valid()) };
    case 11:
      return {
        kind: 'no such alert',
        value: encoded(topic, random, material, random.pick([0, -1, NO_SUCH_ALERT, LARGEST, -NO_SUCH_ALERT])),
      };
    case 12:
      return {
        kind: 'odd texts',
        value: encoded(topic, random, material, random.pick(material.alertIds), () => text(random)),
      };
    case 13:
      return { kind: 'plain text', value: Buffer.from(JSON.stringify({ alertId: 1, userId: random.pick(PROBES) })) };
    default:
      // Random bytes do not compress, and a broker takes 1 MiB of compressed ones.
      return random.chance(0.02)
        ? {
            kind: 'huge',
            value: random.chance(0.5) ? random.manyBytes(random.pick([1_000_000, 3_000_000])) : random.bytes(900_000),
          }
        : {
            kind: 'unknown user',
            value: encoded(topic, random, material, random.pick(material.alertIds), () => 'nobody'),
          };
  }
}

/** A record as the service writes it; `name` gives the texts and user ids that are wanted instead of sound ones. */
function encoded(topic: Topic, random: Random, { events }: Material, alertId: number, name?: () => string): Buffer {
  if (topic === 'userAlert') {
    const event: UserAlertEvent = { alertId, userId: name?.() ?? random.pick(PROBES), epoch: 0 };
    return events.userAlert.encode(event);
  }
  if (topic === 'inboxChange') return events.inboxChanged.encode(inboxChange(random, alertId, name));
  const event: AlertCreatedEvent = {
    alertId,
    alertKind: 'GRAFANA',
    appName: name?.() ?? 'ssok-bank-api',
    level: 'ERROR',
    title: name?.() ?? 'forged',
    message: '',
    sourceId: '',
    labels: name === undefined ? {} : { [name()]: name() },
    occurredAt: Date.now(),
    createdAt: Date.now(),
    directoryVersion: random.pick([0, 1, 2, 1_000_000, -1]),
    recipientsNamed: random.chance(0.8),
    namedRecipients: random.chance(0.7) ? { userIds: [name?.() ?? random.pick(PROBES)], departments: [] } : null,
    epoch: 0,
  };
  return events.alertCreated.encode(event);
}

/** A lie about a victim's inbox: what a gateway shows of it may be wrong, and must not harm it or others. */
function inboxChange(random: Random, alertId: number, name?: () => string): InboxChangedEvent {
  const lastSequence = random.pick([0, 1, 2, 50, 1_000_000, LARGEST, -1]);
  return {
    userId: name?.() ?? random.pick(VICTIMS),
    lastSequence,
    unreadCount: random.pick([0, 1, -1, 2 ** 31 - 1]),
    epoch: 0,
    changes: Array.from({ length: random.pick([0, 1, 3]) }, (_, index) => ({
      sequence: lastSequence - index,
      alertId,
      type: random.pick(['CREATED', 'READ', 'UNREAD', 'DELETED'] as const),
      isRead: random.chance(0.5),
      traceparent: random.chance(0.5) ? '' : text(random),
    })),
  };
}

function anyKey(topic: Topic, random: Random): Buffer | null {
  // Only these are read by the streams of others: no change that decodes may bear a probe's name.
  if (topic === 'inboxChange')
    return random.chance(0.7) ? Buffer.from(random.pick(VICTIMS)) : Buffer.from(text(random).slice(0, 300));
  switch (random.int(0, 7)) {
    case 0:
      return null;
    case 1:
      return Buffer.alloc(0);
    case 2:
      return random.bytes(random.int(1, 50));
    case 3:
      return Buffer.from(
        random.pick(['\0', 'a\0', '1e30', '0.5', 'Infinity', '-1', '99999999999999999999', '0x10', ' 7 ']),
      );
    case 4:
      return random.manyBytes(random.pick([1000, 20_000]));
    case 5:
      return Buffer.from(text(random).slice(0, 1000));
    default:
      return Buffer.from(random.pick(PROBES));
  }
}

function anyHeaders(random: Random): Header[] {
  const name = () =>
    random.pick([
      '',
      'a',
      '7',
      '__proto__',
      'constructor',
      '이체',
      'traceparent',
      'dlq-topic',
      'dlq-redrives',
      'dlq-offset',
      'x'.repeat(500),
    ]);
  const size = () => (random.chance(0.02) ? random.pick([10_000, 100_000]) : random.int(0, 60));
  return Array.from({ length: random.chance(0.02) ? 200 : random.int(1, 4) }, () => {
    const value = random.manyBytes(size());
    return Object.defineProperty({}, name(), { value, enumerable: true, configurable: true });
  });
}

import type { Consumer, IncomingRecord } from './consumer.js';
import { DLQ_HEADER, dlqTopicOf } from './dead-letters.js';
import type { OutgoingHeader, OutgoingRecord } from './producer.js';

const ADDED: ReadonlySet<string> = new Set(Object.values(DLQ_HEADER));

/** A dead letter as it lies in its topic. */
export interface DeadLetter {
  /** Where it came from. */
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly record: IncomingRecord;
  /** What was added, by the names of DLQ_HEADER. */
  readonly added: Readonly<Record<string, string>>;
  readonly redrives: number;
}

/** Where it came from, in one word. */
export function deadLetterName({
  topic,
  partition,
  offset,
}: Pick<DeadLetter, 'topic' | 'partition' | 'offset'>): string {
  return `${topic}-${partition}@${offset}`;
}

/** The dead letters of a topic in the order in which they were given up, each once. Records of others are left out. */
export async function* readDeadLetters(consumer: Consumer, topic: string): AsyncGenerator<DeadLetter> {
  const seen = new Set<string>();
  for await (const record of consumer.readAll(dlqTopicOf(topic))) {
    const letter = toDeadLetter(record);
    if (letter === undefined || letter.topic !== topic || seen.has(deadLetterName(letter))) continue;
    seen.add(deadLetterName(letter));
    yield letter;
  }
}

/** Undefined: it is no dead letter. */
export function toDeadLetter(record: IncomingRecord): DeadLetter | undefined {
  const added: Record<string, string> = {};
  for (const header of record.headers) {
    for (const [name, value] of Object.entries(header)) if (ADDED.has(name)) added[name] = value.toString();
  }
  const { [DLQ_HEADER.topic]: topic, [DLQ_HEADER.partition]: partition, [DLQ_HEADER.offset]: offset } = added;
  if (topic === undefined || partition === undefined || offset === undefined) return undefined;
  return {
    topic,
    partition: Number(partition),
    offset: Number(offset),
    record,
    added,
    redrives: Number(added[DLQ_HEADER.redrives] ?? 0),
  };
}

/** The record as it was, for its own topic again, and how often it was sent back. */
export function redriven({ topic, record, redrives }: DeadLetter): OutgoingRecord {
  const own = record.headers.filter((header) => Object.keys(header).every((name) => !ADDED.has(name)));
  const counted: OutgoingHeader = { [DLQ_HEADER.redrives]: String(redrives + 1) };
  return { topic, key: record.rawKey, value: record.value, headers: [...own, counted] };
}

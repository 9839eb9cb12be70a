import type { Events } from '../../../services/events/events.js';
import { UndecodableRecord } from '../../../services/lib/avro.js';
import { DLQ_HEADER } from '../../../services/lib/kafka/dead-letters.js';
import type { Header, ReadRecord } from './kafka-client.js';
import { CROWD } from './people.js';
import type { World } from './world.js';

const PART = 'dead letters';

/** What a record says: nothing that can be read, a delivery, or an alert (of which fan-out makes what it can). */
type Meaning =
  'unreadable' | 'alert' | { readonly userId: string; readonly alertId: number; readonly epoch?: number | undefined };

interface Source {
  readonly record: ReadRecord;
  readonly meaning: Meaning;
}

/** Compares the records of the consumed topics with what lies in the dead-letter topics and in the inboxes. */
export class LetterCheck {
  readonly #sources = new Map<string, Source>();
  /** Places of sources that may still lack their dead letter or their row. */
  readonly #open = new Set<string>();
  readonly #reasons = new Map<string, string>();
  /** Letters whose source was not read yet. */
  #early: ReadRecord[] = [];

  constructor(
    private readonly world: World,
    private readonly events: Events,
  ) {}

  async addSources(records: readonly ReadRecord[]): Promise<void> {
    for (const record of records) {
      const place = placeOf(record);
      this.#sources.set(place, { record, meaning: await this.#meaning(record) });
      this.#open.add(place);
    }
  }

  async #meaning({ topic, value }: ReadRecord): Promise<Meaning> {
    const { topics, alertCreated, userAlert } = this.events;
    try {
      if (topic === topics.userAlert) return await userAlert.decode(value);
      await alertCreated.decode(value);
      return 'alert';
    } catch (error) {
      if (error instanceof UndecodableRecord) return 'unreadable';
      throw error;
    }
  }

  addLetters(letters: readonly ReadRecord[]): void {
    const all = [...this.#early, ...letters];
    this.#early = [];
    for (const letter of all) {
      const added = Object.fromEntries(letter.headers.slice(-ADDED).map(only)) as Record<string, Buffer | undefined>;
      const say = (name: string) => added[name]?.toString() ?? '';
      const place = `${say(DLQ_HEADER.topic)}-${say(DLQ_HEADER.partition)}@${say(DLQ_HEADER.offset)}`;
      const source = this.#sources.get(place);
      if (source === undefined) {
        this.#early.push(letter);
        continue;
      }
      this.#compare(source, letter, say(DLQ_HEADER.errorClass), say(DLQ_HEADER.errorMessage));
      this.#reasons.set(place, say(DLQ_HEADER.errorMessage));
    }
  }

  #compare({ record, meaning }: Source, letter: ReadRecord, errorClass: string, reason: string): void {
    const { report } = this.world;
    report.note(PART, `${record.topic}: ${brief(reason)}`);
    const differs = difference(record, letter);
    if (differs !== undefined) report.fail(PART, `the letter of ${placeOf(record)} has another ${differs}`, record);
    // No record of ours times out; whoever gives up one for an unknown reason has a bug.
    if (errorClass !== 'poison')
      report.fail(PART, `${placeOf(record)} was given up as ${errorClass}: ${reason}`, record);
    if (typeof meaning === 'object' && !IMPOSSIBLE.test(reason))
      report.fail(PART, `${placeOf(record)} was given up: ${reason}`, record);
  }

  /**
   * Records that are neither among the dead letters nor, where they name a user and an alert that exist, in the inbox.
   */
  async pending(): Promise<Source[]> {
    const [deliveries, epoch] = await Promise.all([this.world.deliveries(), this.world.epoch()]);
    const pending: Source[] = [];
    for (const place of this.#open) {
      const source = this.#sources.get(place)!;
      if (this.#reasons.has(place) || isHandled(source.meaning, deliveries, epoch)) this.#open.delete(place);
      else pending.push(source);
    }
    return pending;
  }

  finish(): void {
    if (this.#early.length > 0)
      this.world.report.fail(PART, `${this.#early.length} letters have no source`, this.#early.slice(0, 3));
    this.#early = [];
    this.#open.clear();
  }
}

/** Why a delivery that can be read is given up: nobody there, no such alert, another key, or U+0000 in the user id. */
const IMPOSSIBLE = /cannot be handled: (user|alert|the record has) |invalid byte sequence for encoding/;

/** A reason without what differs from record to record. */
function brief(reason: string): string {
  const [, cause = reason] = /cannot be handled: (.*)$/s.exec(reason) ?? [];
  return cause
    .replace(/^user .*/s, 'user … does not exist')
    .replace(/^the record has .*/s, 'its key is another')
    .replaceAll(/-?\d+/g, 'N')
    .slice(0, 60);
}

const ADDED = Object.keys(DLQ_HEADER).length - 1; // all but the count of redrives

function isHandled(meaning: Meaning, deliveries: ReadonlySet<string>, epoch: number): boolean {
  if (meaning === 'unreadable') return false;
  if (meaning === 'alert') return true;
  // What names another life of the database is counted and left alone; 0 names none.
  if (![undefined, 0, epoch].includes(meaning.epoch)) return true;
  const { userId, alertId } = meaning;
  // Their rows are not looked at: they are many, and nobody relies on them.
  return deliveries.has(`${userId} ${alertId}`) || CROWD.includes(userId);
}

function difference(record: ReadRecord, letter: ReadRecord): string | undefined {
  if (!sameBytes(record.key, letter.key)) return 'key';
  if (!sameBytes(record.value, letter.value)) return 'value';
  const own = letter.headers.slice(0, letter.headers.length - ADDED);
  if (own.length !== record.headers.length) return `number of headers (${own.length})`;
  const same = own.every((header, index) => {
    const [name, value] = only(header);
    const [wanted, bytes] = only(record.headers[index]!);
    return name === wanted && sameBytes(value, bytes);
  });
  return same ? undefined : 'header';
}

function sameBytes(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : a.equals(b);
}

function only(header: Header): [string, Buffer] {
  return Object.entries(header)[0]!;
}

function placeOf({ topic, partition, offset }: ReadRecord): string {
  return `${topic}-${partition}@${offset}`;
}

import avsc from 'avsc';

/** The first byte of a record in Confluent's wire format; the schema's id follows in 4 bytes, big-endian. */
const MAGIC = 0;
const HEADER_BYTES = 5;
/** All but long messages fit. */
const SCRATCH_BYTES = 1024;

/** A record that cannot be decoded, now or ever. */
export class UndecodableRecord extends Error {
  readonly canRetry = false;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UndecodableRecord';
  }
}

/**
 * A record names a schema that the registry does not know, or that is none of ours: its writer's fault, as after the
 * registry was lost or restored. What it says of an alert or a user is not known.
 */
export class UnusableSchema extends UndecodableRecord {
  constructor(
    readonly schemaId: number,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'UnusableSchema';
  }
}

/** A schema as text: JSON with its keys in the order of the file, white space removed. */
export function canonicalSchema(text: string): string {
  return JSON.stringify(JSON.parse(text));
}

/** What reads the bytes of one record; avsc does not declare it. */
interface Tap {
  readonly buf: Buffer;
  readonly pos: number;
  readLong(): number;
  skipLong(): void;
  readString(): string;
  skipString(): void;
}

interface ItemType {
  _read(tap: Tap): unknown;
  _skip(tap: Tap): void;
}

/**
 * Goes through a list or a map. avsc reads as many items as it is told, past the record's end: one wrong byte took all
 * memory. No item of ours has less than a byte, so more items than bytes are a lie.
 */
function eachItem(tap: Tap, take: () => void): void {
  let left = tap.buf.length;
  for (let count = tap.readLong(); count !== 0; count = tap.readLong()) {
    if (count < 0) {
      count = -count;
      tap.skipLong(); // the block's size in bytes
    }
    if (!(count <= left)) throw new Error('a list of more items than the record has bytes');
    left -= count;
    for (; count > 0; count -= 1) {
      if (tap.pos > tap.buf.length) throw new Error('truncated buffer');
      take();
    }
  }
}

Object.assign(avsc.types.ArrayType.prototype, {
  _read(this: { itemsType: ItemType }, tap: Tap): unknown[] {
    const items: unknown[] = [];
    eachItem(tap, () => items.push(this.itemsType._read(tap)));
    return items;
  },
  _skip(this: { itemsType: ItemType }, tap: Tap): void {
    eachItem(tap, () => this.itemsType._skip(tap));
  },
});

Object.assign(avsc.types.MapType.prototype, {
  _read(this: { valuesType: ItemType }, tap: Tap): Record<string, unknown> {
    // Without a prototype: a key `__proto__` is a key like any other.
    const values = Object.create(null) as Record<string, unknown>;
    eachItem(tap, () => {
      const key = tap.readString();
      values[key] = this.valuesType._read(tap);
    });
    return values;
  },
  _skip(this: { valuesType: ItemType }, tap: Tap): void {
    eachItem(tap, () => {
      tap.skipString();
      this.valuesType._skip(tap);
    });
  },
});

/** Keys of a schema whose value is a type's name, a type, or a list of them. */
const HOLDS_TYPES = new Set(['type', 'items', 'values', 'fields']);

/**
 * Avro compares names without their namespace (Schema Resolution), avsc with it: a schema in another one could not be
 * read as ours. So types are made without, unless two of a schema would have the same name then.
 */
function parseSchema(text: string): avsc.Type {
  const schema = JSON.parse(text) as avsc.Schema;
  try {
    return avsc.Type.forSchema(withoutNamespaces(schema) as avsc.Schema, { noAnonymousTypes: false });
  } catch {
    return avsc.Type.forSchema(schema, { noAnonymousTypes: false });
  }
}

function withoutNamespaces(schema: unknown): unknown {
  if (typeof schema === 'string') return schema.slice(schema.lastIndexOf('.') + 1);
  if (Array.isArray(schema)) return schema.map(withoutNamespaces);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([key]) => key !== 'namespace')
      .map(([key, value]: [string, unknown]) => {
        const isName = key === 'name' || key === 'aliases';
        return [key, isName || HOLDS_TYPES.has(key) ? withoutNamespaces(value) : value];
      }),
  );
}

/** What reads records of one writer's schema; no resolver: it is the reader's own. */
interface Reader {
  readonly type: avsc.Type;
  readonly resolver: avsc.Resolver | undefined;
}

/** What writes an earlier version; `forth` makes its values of the reader's, `back` the other way round. */
interface Writer {
  readonly type: avsc.Type;
  readonly forth: avsc.Resolver;
  readonly back: avsc.Resolver;
}

const writerOf = (reader: avsc.Type, type: avsc.Type): Writer => ({
  type,
  forth: type.createResolver(reader),
  back: reader.createResolver(type),
});

/**
 * Encodes and decodes the records of one subject. Encoding takes 0.4 us and decoding 0.6 us for our sizes; a writer's
 * schema is asked for once and its resolver kept (building one takes 200 us).
 */
export class AvroCodec<T> {
  readonly #type: avsc.Type;
  /** What is written, if that is another version than is read. */
  readonly #writer: Writer | undefined;
  readonly #readers = new Map<number, Promise<Reader>>();
  readonly #ready = new Map<number, Reader>();
  /** What ids meant before the registry had others; they stand in records still. */
  readonly #former = new Map<number, Reader>();
  #schemaId = 0;
  /** Where records are written: the header, and the last one behind it. */
  readonly #scratch = Buffer.alloc(SCRATCH_BYTES);

  /**
   * @param schema the reader's schema
   * @param schemaId the id in the registry of what is written
   * @param fetchSchema asks the registry for another writer's schema
   * @param onUnusable told of records whose schema cannot be had
   * @param written the schema that is written, an earlier version perhaps; values are of the reader's all the same
   */
  constructor(
    readonly schema: string,
    schemaId: number,
    private readonly fetchSchema: (id: number) => Promise<string>,
    private readonly onUnusable: (error: UnusableSchema) => void = () => undefined,
    readonly written = schema,
  ) {
    this.#type = parseSchema(schema);
    this.#writer = written === schema ? undefined : writerOf(this.#type, parseSchema(written));
    this.#scratch.writeUInt8(MAGIC, 0);
    this.#use(schemaId);
  }

  /** The id under which records are written. */
  get schemaId(): number {
    return this.#schemaId;
  }

  /** Whether records have this field as they are written: a writer that is held at an earlier version leaves it out. */
  writes(field: string & keyof T): boolean {
    const { fields } = JSON.parse(this.written) as { fields?: readonly { name: string }[] };
    return fields?.some(({ name }) => name === field) ?? false;
  }

  /** The registry has other ids now: writes with this one, and asks again for what the others mean. */
  takeId(schemaId: number): void {
    for (const [id, reader] of this.#ready) this.#former.set(id, reader);
    this.#ready.clear();
    this.#readers.clear();
    this.#use(schemaId);
  }

  #use(schemaId: number): void {
    this.#schemaId = schemaId;
    this.#ready.set(schemaId, { type: this.#type, resolver: this.#writer?.back });
    this.#scratch.writeUInt32BE(schemaId, 1);
  }

  /**
   * avsc's toBuffer makes memory of its own for what has more than 64 bytes: 1.2 us for an inbox change instead of 0.4.
   */
  encode(value: T): Buffer {
    if (this.#writer !== undefined) return this.#encodeAs(this.#writer, value);
    const end = this.#type.encode(value, this.#scratch, HEADER_BYTES);
    if (end >= 0) return Buffer.from(this.#scratch.subarray(0, end));
    return Buffer.concat([this.#scratch.subarray(0, HEADER_BYTES), this.#type.toBuffer(value)]);
  }

  /** What a reader of the earlier version would make of the value: new fields are left out, unknown symbols default. */
  #encodeAs({ type, forth }: Writer, value: T): Buffer {
    const earlier: unknown = type.fromBuffer(this.#type.toBuffer(value), forth);
    return Buffer.concat([this.#scratch.subarray(0, HEADER_BYTES), type.toBuffer(earlier)]);
  }

  /**
   * Decodes a record, by whichever version it was written.
   * @throws UndecodableRecord for bytes that no schema fits; other errors when the registry is away
   */
  async decode(bytes: Buffer | null): Promise<T> {
    const id = this.#writerOf(bytes);
    return this.#decodeWith(this.#ready.get(id) ?? (await this.#reader(id)), bytes!);
  }

  /** Decodes at once if the writer's schema is known already; undefined if it must be asked for. */
  decodeKnown(bytes: Buffer | null): T | undefined {
    const reader = this.#ready.get(this.#writerOf(bytes));
    return reader === undefined ? undefined : this.#decodeWith(reader, bytes!);
  }

  #writerOf(bytes: Buffer | null): number {
    if (bytes === null) throw new UndecodableRecord('the record has no value');
    if (bytes.length < HEADER_BYTES)
      throw new UndecodableRecord(`the value has ${bytes.length} bytes, no schema header`);
    if (bytes[0] !== MAGIC) throw new UndecodableRecord(`the value starts with ${bytes[0]}, not with the magic byte 0`);
    return bytes.readUInt32BE(1);
  }

  #decodeWith({ resolver }: { resolver: avsc.Resolver | undefined }, bytes: Buffer): T {
    try {
      return (
        resolver === undefined
          ? this.#type.fromBuffer(bytes.subarray(HEADER_BYTES))
          : this.#type.fromBuffer(bytes.subarray(HEADER_BYTES), resolver)
      ) as T;
    } catch (error) {
      throw new UndecodableRecord(`the value does not fit its schema`, { cause: error });
    }
  }

  #reader(id: number) {
    let reader = this.#readers.get(id);
    if (reader === undefined) {
      reader = this.#load(id);
      this.#readers.set(id, reader);
      // A failure is not remembered: the registry may only be away.
      reader.then(
        (loaded) => this.#ready.set(id, loaded),
        () => this.#readers.delete(id),
      );
    }
    return reader;
  }

  async #load(id: number): Promise<Reader> {
    try {
      const schema = await this.fetchSchema(id);
      return this.#readerOf(id, schema);
    } catch (error) {
      if (!(error instanceof UnusableSchema)) throw error;
      const former = this.#former.get(id);
      if (former !== undefined) return former;
      this.onUnusable(error);
      throw error;
    }
  }

  #readerOf(id: number, schema: string): Reader {
    try {
      const type = parseSchema(schema);
      return { type, resolver: this.#type.createResolver(type) };
    } catch (error) {
      throw new UnusableSchema(id, `schema ${id} cannot be read as ours`, { cause: error });
    }
  }
}

/**
 * Why data written by `writer` cannot be read by `reader`, or undefined if it can.
 * @throws when either is no valid schema
 */
export function incompatibility(reader: string, writer: string): string | undefined {
  const readerType = parseSchema(reader);
  const writerType = parseSchema(writer);
  try {
    readerType.createResolver(writerType);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** @throws with the reason when the text is no valid Avro schema */
export function checkSchema(text: string): void {
  parseSchema(text);
}

import avsc from 'avsc';

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
export function parseSchema(text: string): avsc.Type {
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

/** What avsc does not declare of enums and of what reads another writer's values. */
interface EnumOf {
  readonly name: string;
  readonly symbols: readonly string[];
}
interface EnumResolver {
  symbols: readonly string[];
  _read?: (tap: Tap) => string;
}
type UpdateEnum = (this: EnumOf, resolver: EnumResolver, writer: EnumOf, options: object) => void;

/** Told of each value that is read as its enum's default, as its symbol is not known; set while a resolver is made. */
let onUnknownSymbol: ((enumName: string) => void) | undefined;

const enumPrototype = avsc.types.EnumType.prototype as unknown as { _update: UpdateEnum };
const updateEnum = enumPrototype._update;
enumPrototype._update = function (resolver, writer, options) {
  updateEnum.call(this, resolver, writer, options);
  const tell = onUnknownSymbol;
  if (tell === undefined || resolver._read === undefined) return;
  const known = writer.symbols.map((symbol) => this.symbols.includes(symbol));
  // Then avsc's own way is right, and quicker.
  if (!known.includes(false)) return;
  resolver._read = (tap) => {
    const index = tap.readLong();
    const symbol = resolver.symbols[index];
    if (symbol === undefined) throw new Error(`${this.name} has no symbol ${index}`);
    if (known[index] === false) tell(this.name);
    return symbol;
  };
};

/**
 * What reads `writer`'s records as `reader`'s.
 * @param onUnknown told of each value that is read as the default of an enum
 * @throws if they are not compatible
 */
export function resolverOf(reader: avsc.Type, writer: avsc.Type, onUnknown: (enumName: string) => void): avsc.Resolver {
  onUnknownSymbol = onUnknown;
  try {
    return reader.createResolver(writer);
  } finally {
    onUnknownSymbol = undefined;
  }
}

/** The fields of a schema that are enums, with dots for what is inside, by the enum's name; the first of each. */
export function enumFields(schema: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const visit = (type: unknown, path: string): void => {
    if (Array.isArray(type)) for (const branch of type) visit(branch, path);
    if (typeof type !== 'object' || type === null) return;
    const { type: kind, name, fields = [], items, values } = type as Record<string, unknown>;
    if (kind === 'enum') {
      const short = withoutNamespaces(name) as string;
      if (!found.has(short)) found.set(short, path);
    }
    if (kind === 'record')
      for (const field of fields as { name: string; type: unknown }[])
        visit(field.type, path === '' ? field.name : `${path}.${field.name}`);
    for (const inner of [items, values, typeof kind === 'object' ? kind : undefined]) visit(inner, path);
  };
  visit(JSON.parse(schema), '');
  return found;
}

import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../logging.js';
import { makeFolder } from '../make-folder.js';

/** Files in the folder; beyond that the oldest goes. A few releases write a few dozen schemas. */
const FILES_MAX = 200;
/** A larger file is none of ours: registries take no such schema. */
const FILE_BYTES_MAX = 1_048_576;
/** The same problem is logged once, and so many different ones. */
const SAID_MAX = 100;

/** A schema as a registry has it: by its id, or as what we write to a subject. */
export interface CachedSchema {
  readonly subject?: string;
  readonly id: number;
  readonly schema: string;
}

/**
 * The schemas that one registry gave us, as files: a process that starts while it is away reads and writes with them.
 * The registry is always asked first, so a file counts only while it does not answer. Each names its registry and has
 * a hash of all that it says; one that is cut short, was changed, or is of another registry is as if it were not there.
 */
export class SchemaCache {
  readonly #said = new Set<string>();
  /** Kept by this process, so that the disk is not asked again. */
  readonly #kept = new Map<string, string>();

  /** @param registry whose schemas they are, as SCHEMA_REGISTRY_URL has it */
  constructor(
    private readonly folder: string,
    private readonly registry: string,
    private readonly logger: Logger,
  ) {}

  /** The id that our schema had in the subject; undefined if that is not known. */
  async idOf(subject: string, schema: string): Promise<number | undefined> {
    const entry = await this.#read(nameOf({ subject, id: 0, schema }));
    return entry?.subject === subject && entry.schema === schema ? entry.id : undefined;
  }

  /** The schema that had the id; undefined if that is not known. */
  async schemaOf(id: number): Promise<string | undefined> {
    const entry = await this.#read(nameOf({ id, schema: '' }));
    return entry?.subject === undefined && entry?.id === id ? entry.schema : undefined;
  }

  /** Keeps what the registry said, in the place of what it said before. A disk that is full or read-only is logged. */
  async keep(entry: CachedSchema): Promise<void> {
    const name = nameOf(entry);
    const text = this.#textOf(entry);
    if (this.#kept.get(name) === text || text.length > FILE_BYTES_MAX) return;
    const before = await this.#read(name);
    if (before !== undefined && this.#textOf(before) !== text)
      this.logger.warn(
        { subject: entry.subject, id: entry.id, before: before.id },
        'the registry has another schema under an id than before, or another id: it was lost or restored',
      );
    try {
      await makeFolder(this.folder, 0o750);
      const temporary = join(this.folder, `.${name}.${randomBytes(6).toString('hex')}.tmp`);
      await writeFile(temporary, text, { flush: true, mode: 0o640 });
      await rename(temporary, join(this.folder, name));
      if (this.#kept.size >= FILES_MAX) this.#kept.clear();
      this.#kept.set(name, text);
      await this.#prune();
    } catch (error) {
      this.#say(`schemas cannot be kept in '${this.folder}' (SCHEMA_REGISTRY_CACHE_DIR): ${(error as Error).message}`);
    }
  }

  async #prune(): Promise<void> {
    const names = (await readdir(this.folder)).filter(isOurs);
    if (names.length <= FILES_MAX) return;
    const files = await Promise.all(
      names.map(async (name) => {
        const path = join(this.folder, name);
        // Another process may have taken it away by now.
        return { path, at: (await stat(path).catch(() => undefined))?.mtimeMs ?? 0 };
      }),
    );
    const oldest = files.sort((a, b) => a.at - b.at).slice(0, files.length - FILES_MAX);
    for (const { path } of oldest) await unlink(path).catch(() => undefined);
  }

  async #read(name: string): Promise<CachedSchema | undefined> {
    const path = join(this.folder, name);
    try {
      const found = await stat(path);
      if (!found.isFile() || found.size > FILE_BYTES_MAX) throw new Error('it is no file of a schema');
      const text = await readFile(path, 'utf8');
      const { registry, subject, id, schema } = JSON.parse(text) as CachedSchema & { registry: string };
      const entry = { id, schema, ...(subject === undefined ? {} : { subject }) };
      if (registry !== this.registry) throw new Error(`it is of the registry at ${registry}`);
      if (text !== this.#textOf(entry)) throw new Error('its hash is another: it was cut short or changed');
      return entry;
    } catch (error) {
      const reason = error instanceof SyntaxError ? 'it is cut short' : (error as Error).message;
      if ((error as { code?: unknown }).code !== 'ENOENT')
        this.#say(`the schema in '${path}' is not used: ${reason}; it is written anew once the registry answers`);
      return undefined;
    }
  }

  #textOf({ subject, id, schema }: CachedSchema): string {
    const said = JSON.stringify({ registry: this.registry, subject, id, schema });
    return `${JSON.stringify({ ...(JSON.parse(said) as object), sha256: hashOf(said) })}\n`;
  }

  #say(problem: string): void {
    if (this.#said.has(problem) || this.#said.size >= SAID_MAX) return;
    this.#said.add(problem);
    this.logger.warn({ reason: problem }, 'the cache of schemas is of no use here');
  }
}

/** What we write is found by the subject and the schema, so that two releases side by side have a file each. */
function nameOf({ subject, id, schema }: CachedSchema): string {
  return subject === undefined ? `id-${id}.json` : `ours-${hashOf(`${subject}\n${schema}`).slice(0, 32)}.json`;
}

/** Also what a process that died left half written. */
function isOurs(name: string): boolean {
  return /^(\.?)(id|ours)-[0-9a-f]+\.json(\.[0-9a-f]+\.tmp)?$/.test(name);
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

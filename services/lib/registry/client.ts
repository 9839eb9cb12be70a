import { checkSchema, UnusableSchema } from '../avro.js';
import { Breaker, type BreakerState } from '../breaker.js';
import type { Config } from '../config/load.js';
import type { Logger } from '../logging.js';
import { ReadAgain } from '../read-again.js';
import { secretReader } from '../secret-reader.js';
import { type ClientTls, type ClientTlsFiles, readClientTls } from '../tls-client-files.js';
import { isRegistryAway, RegistryError, RegistryUnavailable } from './errors.js';
import { SchemaCache } from './schema-cache.js';
import { RegistryServers, registryUrls } from './servers.js';

export { RegistryError, RegistryUnavailable } from './errors.js';

export interface RegistryOptions {
  /** Of one server, or of several of the same registry, separated by commas. */
  readonly url: string;
  readonly username: string;
  readonly password: string | (() => string);
  /** Instead of both; empty: none. */
  readonly token?: () => string;
  /** For https; undefined: what Node believes, and no certificate of our own. */
  readonly tls?: ClientTlsFiles;
  readonly timeoutMs?: number;
  /** Folder of the schemas that are kept for when it is away; empty: none are. */
  readonly cacheDir?: string;
}

export type RegistryConfig = Pick<
  Config,
  | 'schemaRegistryUrl'
  | 'schemaRegistryCacheDir'
  | 'schemaRegistryUsername'
  | 'schemaRegistryPassword'
  | 'schemaRegistryToken'
  | 'schemaRegistryCaFile'
  | 'schemaRegistryCertFile'
  | 'schemaRegistryKeyFile'
  | 'secretFiles'
>;

/** What the configuration says of it; what it gives as files is read for each request. */
export function registryOptions(url: string, config: RegistryConfig, logger: Logger): RegistryOptions {
  const secret = (variable: string, key: 'schemaRegistryPassword' | 'schemaRegistryToken') =>
    secretReader(variable, config[key], config.secretFiles[key], logger);
  return {
    url,
    // The registry inside this process has another address at each start, and is never away.
    cacheDir: url === config.schemaRegistryUrl ? config.schemaRegistryCacheDir : '',
    username: config.schemaRegistryUsername,
    password: secret('SCHEMA_REGISTRY_PASSWORD', 'schemaRegistryPassword'),
    token: secret('SCHEMA_REGISTRY_TOKEN', 'schemaRegistryToken'),
    tls: {
      ca: config.schemaRegistryCaFile || undefined,
      cert: config.schemaRegistryCertFile || undefined,
      key: config.schemaRegistryKeyFile || undefined,
    },
  };
}

/** What of ours everybody on the way to it can read; undefined: nothing. */
export function riskOfRegistry(url: string, config: RegistryConfig): string | undefined {
  const secret = config.schemaRegistryToken === '' ? 'SCHEMA_REGISTRY_PASSWORD' : 'SCHEMA_REGISTRY_TOKEN';
  const isOpen = config.schemaRegistryToken + config.schemaRegistryUsername === '';
  const inClear = registryUrls(url).find((each) => /^http:\/\/(?!localhost[:/]|127\.|\[::1\])/.test(`${each}/`));
  if (isOpen || inClear === undefined) return undefined;
  return `${secret} goes to ${inClear} in clear: name the registry by https://`;
}

/** Confluent's code for a schema that is not there. Any other 404 comes from somebody else, such as a proxy. */
const SCHEMA_NOT_FOUND = 40403;
/** It has four bytes in a record. */
const ID_MAX = 2 ** 32 - 1;

/** The part of Confluent's REST API that we use; the same against the in-process registry, Apicurio and Confluent's. */
export class RegistryClient {
  readonly #servers: RegistryServers;
  readonly #cache: SchemaCache | undefined;
  /** Around what consumers ask while they work; setting up has its own patience. */
  readonly breaker: Breaker;

  constructor(
    private readonly options: RegistryOptions,
    private readonly logger: Logger,
    onBreaker?: (state: BreakerState) => void,
  ) {
    this.breaker = new Breaker({
      what: 'the schema registry',
      isOutage: isRegistryAway,
      ...(onBreaker === undefined ? {} : { onChange: onBreaker }),
    });
    const { tls = {}, cacheDir = '' } = options;
    const what = 'SCHEMA_REGISTRY_CA_FILE, _CERT_FILE and _KEY_FILE';
    const certificates = new ReadAgain<ClientTls>({ what, read: (last) => readClientTls(tls, last) }, logger);
    this.#servers = new RegistryServers({
      url: options.url,
      timeoutMs: options.timeoutMs ?? 5000,
      headers: () => this.#headers,
      tls: () => certificates.look(),
    });
    this.#cache = cacheDir === '' ? undefined : new SchemaCache(cacheDir, this.url, logger);
  }

  get #headers(): Record<string, string> {
    const { username, password, token } = this.options;
    const accept = 'application/vnd.schemaregistry.v1+json, application/json';
    const bearer = token?.() ?? '';
    if (bearer !== '') return { accept, authorization: `Bearer ${bearer}` };
    if (username === '') return { accept };
    const secret = typeof password === 'string' ? password : password();
    return { accept, authorization: `Basic ${Buffer.from(`${username}:${secret}`).toString('base64')}` };
  }

  /** Of each of its servers. */
  get url(): string {
    return this.#servers.shown;
  }

  /** Registers a schema, or finds it; returns its id. @throws RegistryError 409 if it is incompatible */
  async register(subject: string, schema: string): Promise<number> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions`;
    const id = this.#idIn(await this.#call('POST', path, { schema }), subject);
    this.logger.debug({ subject, id }, 'schema registered');
    return id;
  }

  /** The id under which a schema is registered. @throws RegistryError 404 (40401, 40403) if it is not */
  async find(subject: string, schema: string): Promise<number> {
    const id = this.#idIn(await this.#call('POST', `/subjects/${encodeURIComponent(subject)}`, { schema }), subject);
    await this.#cache?.keep({ subject, id, schema });
    return id;
  }

  /** As `find`; while the registry is away the id that the schema had, as far as the cache on disk knows it. */
  async findKnown(subject: string, schema: string): Promise<number> {
    try {
      return await this.find(subject, schema);
    } catch (error) {
      const known = isRegistryAway(error) ? await this.#cache?.idOf(subject, schema) : undefined;
      if (known === undefined) throw error;
      this.logger.warn(
        { reason: (error as Error).message, subject, id: known },
        'the schema registry is away: the id of a schema is the one in the cache on disk',
      );
      return known;
    }
  }

  #idIn(answer: unknown, subject: string): number {
    const { id } = (answer ?? {}) as { id?: unknown };
    if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id <= ID_MAX) return id;
    throw new RegistryUnavailable(`the schema registry at ${this.url} answered for ${subject} with no id of a schema`);
  }

  /**
   * An Avro schema by its id; while the registry is away from the cache on disk, if it has it.
   * @throws UnusableSchema if the registry does not know it, or knows it as another kind of schema
   */
  async schemaById(id: number): Promise<string> {
    try {
      const schema = await this.breaker.run(() => this.#schema(id));
      await this.#cache?.keep({ id, schema });
      return schema;
    } catch (error) {
      if (isUnknown(error)) throw new UnusableSchema(id, `the registry knows no schema ${id}`, { cause: error });
      const known = isRegistryAway(error) ? await this.#cache?.schemaOf(id) : undefined;
      if (known === undefined) throw error;
      return known;
    }
  }

  async #schema(id: number): Promise<string> {
    const request = { method: 'GET', path: `/schemas/ids/${id}`, doubts: isUnknown };
    const answer = (await this.#servers.ask(request)) as { schema?: unknown; schemaType?: unknown } | null;
    const { schema, schemaType = 'AVRO' } = answer ?? {};
    if (typeof schemaType === 'string' && schemaType !== 'AVRO')
      throw new UnusableSchema(id, `schema ${id} is of type ${schemaType}, not AVRO`);
    if (typeof schema === 'string') {
      try {
        checkSchema(schema);
        return schema;
      } catch (error) {
        // References to other schemas, for one. What looks like no record at all is of a registry that is not well.
        if (looksLikeRecord(schema))
          throw new UnusableSchema(id, `schema ${id} cannot be read here: ${(error as Error).message}`, {
            cause: error,
          });
      }
    }
    throw new RegistryUnavailable(`the schema registry at ${this.url} answered for schema ${id} with none`);
  }

  /** The newest version of a subject. @throws RegistryError 404 if there is none */
  async latest(subject: string): Promise<{ id: number; version: number; schema: string }> {
    return this.#call('GET', `/subjects/${encodeURIComponent(subject)}/versions/latest`);
  }

  /** All versions of a subject; none if there is no such subject. */
  async versions(subject: string): Promise<{ id: number; version: number; schema: string }[]> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions`;
    const numbers = await orUndefined(this.#call<number[]>('GET', path));
    return Promise.all(
      (numbers ?? []).map((number) =>
        this.#call<{ id: number; version: number; schema: string }>('GET', `${path}/${number}`),
      ),
    );
  }

  /** A subject's own compatibility level; undefined if it has none. */
  async compatibility(subject: string): Promise<string | undefined> {
    const path = `/config/${encodeURIComponent(subject)}`;
    return (await orUndefined(this.#call<{ compatibilityLevel: string }>('GET', path)))?.compatibilityLevel;
  }

  async subjects(): Promise<string[]> {
    return this.#call('GET', '/subjects');
  }

  /** Whether a schema may become the subject's next version. An unknown subject accepts every schema. */
  async isCompatible(subject: string, schema: string): Promise<boolean> {
    const path = `/compatibility/subjects/${encodeURIComponent(subject)}/versions/latest`;
    try {
      return (await this.#call<{ is_compatible: boolean }>('POST', path, { schema })).is_compatible;
    } catch (error) {
      if (error instanceof RegistryError && error.status === 404) return true;
      throw error;
    }
  }

  /** Sets a subject's compatibility level. */
  async setCompatibility(subject: string, compatibility: string): Promise<void> {
    const set = () => this.#call('PUT', `/config/${encodeURIComponent(subject)}`, { compatibility });
    try {
      await set();
    } catch (error) {
      // Apicurio answers 409 when two set a subject's first level at once; the second try replaces it.
      if (!(error instanceof RegistryError) || error.status !== 409) throw error;
      await set();
    }
  }

  async #call<T>(method: string, path: string, body?: unknown): Promise<T> {
    return (await this.#servers.ask({ method, path, body })) as T;
  }
}

/** A server that was made a moment ago from another may not have it yet, so all of them are asked. */
function isUnknown(error: unknown): boolean {
  return error instanceof RegistryError && error.status === 404 && error.errorCode === SCHEMA_NOT_FOUND;
}

/** Undefined where the registry says that it is not there. */
async function orUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof RegistryError && error.status === 404) return undefined;
    throw error;
  }
}

function looksLikeRecord(schema: string): boolean {
  try {
    const { type, name, fields } = JSON.parse(schema) as { type?: unknown; name?: unknown; fields?: unknown };
    return type === 'record' && typeof name === 'string' && Array.isArray(fields);
  } catch {
    return false;
  }
}

import { checkSchema, UnusableSchema } from '../avro.js';
import { Breaker, type BreakerState } from '../breaker.js';
import type { Config } from '../config/load.js';
import type { Logger } from '../logging.js';
import { ReadAgain } from '../read-again.js';
import { secretReader } from '../secret-reader.js';
import { type ClientTls, type ClientTlsFiles, readClientTls } from '../tls-client-files.js';
import { tlsFault } from '../tls-errors.js';
import { exchange } from './exchange.js';

export interface RegistryOptions {
  readonly url: string;
  readonly username: string;
  readonly password: string | (() => string);
  /** Instead of both; empty: none. */
  readonly token?: () => string;
  /** For https; undefined: what Node believes, and no certificate of our own. */
  readonly tls?: ClientTlsFiles;
  readonly timeoutMs?: number;
}

export type RegistryConfig = Pick<
  Config,
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
  if (isOpen || !/^http:\/\/(?!localhost[:/]|127\.|\[::1\])/.test(`${url}/`)) return undefined;
  return `${secret} goes to ${url} in clear: name the registry by https://`;
}

/** Bytes of an answer; the largest schemas have some 10 KiB. */
const ANSWER_MAX = 4 * 1_048_576;
/** Confluent's code for a schema that is not there. Any other 404 comes from somebody else, such as a proxy. */
const SCHEMA_NOT_FOUND = 40403;

/** An answer of the registry that says no. `errorCode` is Confluent's, for example 40403 or 42201. */
export class RegistryError extends Error {
  constructor(
    readonly status: number,
    readonly errorCode: number,
    message: string,
  ) {
    super(message);
    this.name = 'RegistryError';
  }

  /** Whether it does not take us for somebody who may. */
  get refusesUs(): boolean {
    return this.status === 401 || this.status === 403;
  }

  /** Whether asking again later makes sense. */
  get canRetry(): boolean {
    return this.status >= 500 || this.status === 429 || this.status === 408;
  }
}

/** It did not answer, or not in its language. */
export class RegistryUnavailable extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RegistryUnavailable';
  }

  /** Whether one of us does not take the other's certificate. */
  get refusesUs(): boolean {
    return tlsFault(this.cause) !== undefined;
  }
}

/** The part of Confluent's REST API that we use; the same against the in-process registry, Apicurio and Confluent's. */
export class RegistryClient {
  readonly #base: string;
  readonly #tls: ReadAgain<ClientTls>;
  readonly #timeoutMs: number;
  /** Around what consumers ask while they work; setting up has its own patience. */
  readonly breaker: Breaker;

  constructor(
    private readonly options: RegistryOptions,
    private readonly logger: Logger,
    onBreaker?: (state: BreakerState) => void,
  ) {
    this.breaker = new Breaker({
      what: 'the schema registry',
      isOutage: (error) => error instanceof RegistryUnavailable || (error instanceof RegistryError && error.canRetry),
      ...(onBreaker === undefined ? {} : { onChange: onBreaker }),
    });
    this.#base = options.url.replace(/\/+$/, '');
    this.#timeoutMs = options.timeoutMs ?? 5000;
    const { tls = {} } = options;
    const what = 'SCHEMA_REGISTRY_CA_FILE, _CERT_FILE and _KEY_FILE';
    this.#tls = new ReadAgain({ what, read: (last) => readClientTls(tls, last) }, logger);
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

  get url(): string {
    return this.#base;
  }

  /** Registers a schema, or finds it; returns its id. @throws RegistryError 409 if it is incompatible */
  async register(subject: string, schema: string): Promise<number> {
    const { id } = await this.#call<{ id: number }>('POST', `/subjects/${encodeURIComponent(subject)}/versions`, {
      schema,
    });
    this.logger.debug({ subject, id }, 'schema registered');
    return id;
  }

  /** The id under which a schema is registered. @throws RegistryError 404 (40401, 40403) if it is not */
  async find(subject: string, schema: string): Promise<number> {
    const { id } = await this.#call<{ id: number }>('POST', `/subjects/${encodeURIComponent(subject)}`, { schema });
    return id;
  }

  /**
   * An Avro schema by its id.
   * @throws UnusableSchema if the registry does not know it, or knows it as another kind of schema
   */
  async schemaById(id: number): Promise<string> {
    try {
      return await this.breaker.run(() => this.#schema(id));
    } catch (error) {
      if (error instanceof RegistryError && error.errorCode === SCHEMA_NOT_FOUND) {
        throw new UnusableSchema(id, `the registry knows no schema ${id}`, { cause: error });
      }
      throw error;
    }
  }

  async #schema(id: number): Promise<string> {
    const answer = await this.#call<{ schema?: unknown; schemaType?: unknown } | null>('GET', `/schemas/ids/${id}`);
    const { schema, schemaType = 'AVRO' } = answer ?? {};
    if (typeof schemaType === 'string' && schemaType !== 'AVRO')
      throw new UnusableSchema(id, `schema ${id} is of type ${schemaType}, not AVRO`);
    if (typeof schema === 'string') {
      try {
        checkSchema(schema);
        return schema;
      } catch {
        // Registries take no such schema, so the one that we asked is not in its right mind.
      }
    }
    throw new RegistryUnavailable(`the schema registry at ${this.#base} answered for schema ${id} with none`);
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

  #parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new RegistryUnavailable(`the schema registry at ${this.#base} answered with something that is no JSON`, {
        cause: error,
      });
    }
  }

  async #call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const given = body === undefined ? undefined : JSON.stringify(body);
    const headers = { ...this.#headers, ...(given === undefined ? {} : { 'content-type': 'application/json' }) };
    const request = { method, headers, body: given, timeoutMs: this.#timeoutMs, answerMax: ANSWER_MAX };
    const { status, text } = await exchange(new URL(this.#base + path), { ...request, tls: this.#tls.look() }).catch(
      (error: Error & { code?: string }) => {
        const fault = tlsFault(error);
        const why = error.code ?? error.name;
        throw new RegistryUnavailable(
          fault === undefined
            ? `the schema registry at ${this.#base} did not answer (${why})`
            : `the schema registry at ${this.#base}: ${fault} (${why}); look at SCHEMA_REGISTRY_URL, _CA_FILE and _CERT_FILE`,
          { cause: error },
        );
      },
    );
    if (status >= 200 && status < 300) return this.#parse(text) as T;
    const problem = parseProblem(text);
    const error = new RegistryError(
      status,
      problem.error_code ?? status,
      `${method} ${path}: the schema registry answered ${status}: ${problem.message ?? text.slice(0, 200)}`,
    );
    if (error.refusesUs)
      error.message +=
        '; look at SCHEMA_REGISTRY_USERNAME and _PASSWORD, or SCHEMA_REGISTRY_TOKEN, and what it lets them do';
    throw error;
  }
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

function parseProblem(text: string): { error_code?: number; message?: string } {
  try {
    return (JSON.parse(text) ?? {}) as { error_code?: number; message?: string };
  } catch {
    return {};
  }
}

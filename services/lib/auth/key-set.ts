import { readFile } from 'node:fs/promises';
import {
  createLocalJWKSet,
  type CryptoKey,
  errors,
  type JSONWebKeySet,
  type JWK,
  type JWSHeaderParameters,
} from 'jose';
import type { Logger } from '../logging.js';
import { unreadable } from '../read-file.js';
import { withTimeout } from '../retry.js';

export interface KeySetOptions {
  /** A file, or an http(s) URL. */
  readonly source: string;
  /** How old the keys may get before they are asked for again. */
  readonly refreshMs: number;
  /** Default 5 s. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 5000;
/** So long after an answer, or none, the source is asked no more, whatever keys tokens name. */
const PAUSE_MS = 5000;
/** Google's and Entra's key sets have some 5 KiB. */
const BYTES_MAX = 1_048_576;
const KEYS_MAX = 100;
/** Of a shared secret (`oct`) whoever verifies could make tokens. */
const KEY_TYPES: ReadonlySet<unknown> = new Set(['RSA', 'EC', 'OKP']);
/** NIST SP 800-131A; jose refuses to verify with less. */
const RSA_BITS_MIN = 2048;

export interface FoundKey {
  readonly key: CryptoKey;
  /** Of the keys that it is one of. */
  readonly generation: number;
}

type Find = (header: JWSHeaderParameters) => Promise<CryptoKey>;

/** There are no keys to verify with: none could be had so far. */
export class KeysUnavailable extends Error {
  constructor(source: string, cause: unknown) {
    super(`the keys at ${source} could not be had: ${(cause as Error).message}`, { cause });
    this.name = 'KeysUnavailable';
  }
}

/**
 * The keys that tokens are verified with (a JSON Web Key Set, RFC 7517): asked for again when they are old, and when a
 * token names one that is not among them. While their source is away the old ones are used.
 */
export class KeySet {
  #find: Find | undefined;
  #loadedAt = -Infinity;
  #answeredAt = -Infinity;
  #failure: KeysUnavailable | undefined;
  #loading: Promise<void> | undefined;
  #generation = 0;
  /** The keys, in a form that does not depend on their order. */
  #known = '';

  constructor(
    private readonly options: KeySetOptions,
    private readonly logger: Logger,
  ) {}

  /** Grows when the keys are others than before: what was verified with those before counts no more. */
  get generation(): number {
    return this.#generation;
  }

  /** Has the keys asked for if they are old, or not there yet; that they cannot be had is logged. */
  refresh(): void {
    if (performance.now() > this.#loadedAt + this.options.refreshMs) void this.#ask().catch(() => undefined);
  }

  /** Resolves when there are keys, be they old. @throws KeysUnavailable */
  async ready(): Promise<void> {
    if (this.#find === undefined) await this.#ask();
  }

  /** The key that a token says it is signed with, if it is here; nobody is asked. @throws JWKSMultipleMatchingKeys */
  async known(header: JWSHeaderParameters): Promise<FoundKey | undefined> {
    if (this.#find === undefined) return undefined;
    try {
      return await this.#look(header);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) return undefined;
      throw error;
    }
  }

  /**
   * The key that a token says it is signed with. Whoever names an unknown one waits for the source's answer.
   * @throws KeysUnavailable; jose's JWKSNoMatchingKey and JWKSMultipleMatchingKeys
   */
  async find(header: JWSHeaderParameters): Promise<FoundKey> {
    await this.ready();
    this.refresh();
    try {
      return await this.#look(header);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await this.#ask().catch(() => undefined);
      return this.#look(header);
    }
  }

  async #look(header: JWSHeaderParameters): Promise<FoundKey> {
    const generation = this.#generation;
    return { key: await this.#find!(header), generation };
  }

  /** Asks the source, unless it has just answered, or not. @throws KeysUnavailable */
  #ask(): Promise<void> {
    if (this.#loading !== undefined) return this.#loading;
    if (performance.now() < this.#answeredAt + PAUSE_MS)
      return this.#failure === undefined ? Promise.resolve() : Promise.reject(this.#failure);
    this.#loading = this.#load().finally(() => {
      this.#answeredAt = performance.now();
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #load(): Promise<void> {
    const { source } = this.options;
    try {
      const keys = this.#usable(readKeys(await this.#read()));
      const known = JSON.stringify(keys.map((key) => JSON.stringify(Object.entries(key).sort())).sort());
      if (known !== this.#known) {
        this.#find = createLocalJWKSet({ keys });
        this.#known = known;
        this.#generation += 1;
        this.logger.info({ source, keys: keys.length }, 'keys for tokens are read');
      }
      this.#loadedAt = performance.now();
      this.#failure = undefined;
    } catch (error) {
      const isNews = this.#failure === undefined;
      this.#failure = new KeysUnavailable(source, error);
      if (isNews) {
        const then = this.#find === undefined ? 'no token can be verified' : 'those of before are used';
        this.logger.error({ source, err: error }, `the keys for tokens could not be had; ${then}`);
      }
      throw this.#failure;
    }
  }

  /** @throws Error if there is none */
  #usable(keys: readonly JWK[]): JWK[] {
    const usable = keys.filter((key) => {
      const problem = problemOf(key);
      if (problem !== undefined)
        this.logger.warn({ source: this.options.source, kid: key.kid, problem }, 'a key for tokens is left out');
      return problem === undefined;
    });
    if (usable.length === 0) throw new Error('it has no public key of the types RSA, EC or OKP');
    return usable;
  }

  async #read(): Promise<string> {
    const { source, timeoutMs = TIMEOUT_MS } = this.options;
    if (!/^https?:/.test(source)) {
      const reading = readFile(source).catch((error: unknown) => {
        throw unreadable(source, error);
      });
      const bytes = await withTimeout(reading, timeoutMs, 'reading the file');
      return checkSize(bytes, bytes.length);
    }
    const response = await fetch(source, {
      headers: { accept: 'application/jwk-set+json, application/json' },
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      if (size > BYTES_MAX) break;
      chunks.push(chunk);
    }
    return checkSize(Buffer.concat(chunks), size);
  }
}

function checkSize(bytes: Buffer, size: number): string {
  if (size > BYTES_MAX) throw new Error(`it has more than ${BYTES_MAX} bytes`);
  return bytes.toString();
}

/** @throws Error saying what is no JSON Web Key Set */
function readKeys(text: string): JWK[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Error(/^\s*</.test(text) ? 'it is a page (HTML), not JSON' : 'it is no JSON');
  }
  const { keys } = Object(parsed) as Partial<JSONWebKeySet>;
  if (!Array.isArray(keys)) throw new Error('it is no JSON Web Key Set: it has no list of keys');
  if (keys.length > KEYS_MAX) throw new Error(`it has ${keys.length} keys; at most ${KEYS_MAX} are looked at`);
  return keys.map((key) => Object(key) as JWK);
}

/** Why tokens are not verified with a key. */
function problemOf(key: JWK): string | undefined {
  if (!KEY_TYPES.has(key.kty)) return 'it is none of RSA, EC and OKP';
  if (key.d !== undefined) return 'it is a private key, which everybody can read now';
  const bits = key.kty === 'RSA' ? Buffer.from(String(key.n), 'base64url').length * 8 : RSA_BITS_MIN;
  return bits < RSA_BITS_MIN ? `it has ${bits} bits, less than ${RSA_BITS_MIN}` : undefined;
}

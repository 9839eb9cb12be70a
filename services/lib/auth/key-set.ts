import { readFile } from 'node:fs/promises';
import {
  createLocalJWKSet,
  type CryptoKey,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
} from 'jose';
import type { Logger } from '../logging.js';

export interface KeySetOptions {
  /** A file, or an http(s) URL. */
  readonly source: string;
  /** How old the keys may get before they are asked for again. */
  readonly refreshMs: number;
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 5000;
/** A key that nobody knows has the source asked again, at most so often. */
const ASK_AGAIN_MS = 5000;
/** Google's and Entra's key sets have some 5 KiB. */
const BYTES_MAX = 1_048_576;
const KEYS_MAX = 100;
/** Of a shared secret (`oct`) whoever verifies could make tokens. */
const KEY_TYPES: ReadonlySet<unknown> = new Set(['RSA', 'EC', 'OKP']);

type Find = (header: JWSHeaderParameters, token: FlattenedJWSInput) => Promise<CryptoKey>;

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
  #askedAt = -Infinity;
  #failure: KeysUnavailable | undefined;
  #loading: Promise<void> | undefined;
  #generation = 0;
  #text = '';

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

  /**
   * The key that a token says it is signed with.
   * @throws KeysUnavailable; jose's JWKSNoMatchingKey and JWKSMultipleMatchingKeys
   */
  readonly find: Find = async (header, token) => {
    if (this.#find === undefined) await this.#ask();
    else this.refresh();
    try {
      return await this.#find!(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await this.#ask().catch(() => undefined);
      return this.#find!(header, token);
    }
  };

  /** Asks the source, unless that was done just before. @throws KeysUnavailable */
  #ask(): Promise<void> {
    if (this.#loading !== undefined) return this.#loading;
    if (performance.now() < this.#askedAt + ASK_AGAIN_MS)
      return this.#failure === undefined ? Promise.resolve() : Promise.reject(this.#failure);
    this.#askedAt = performance.now();
    this.#loading = this.#load().finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  async #load(): Promise<void> {
    const { source } = this.options;
    try {
      const text = await this.#read();
      const keys = readKeys(text);
      if (text !== this.#text) {
        this.#find = createLocalJWKSet(keys);
        this.#text = text;
        this.#generation += 1;
        this.logger.info({ source, keys: keys.keys.length }, 'keys for tokens are read');
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

  async #read(): Promise<string> {
    const { source, timeoutMs = TIMEOUT_MS } = this.options;
    if (!/^https?:/.test(source)) return checkSize(await readFile(source));
    const response = await fetch(source, {
      headers: { accept: 'application/jwk-set+json, application/json' },
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > BYTES_MAX) break;
      chunks.push(chunk);
    }
    return checkSize(Buffer.concat(chunks), bytes);
  }
}

function checkSize(bytes: Buffer, size = bytes.length): string {
  if (size > BYTES_MAX) throw new Error(`it has more than ${BYTES_MAX} bytes`);
  return bytes.toString();
}

/** @throws Error saying what is no JWKS of public keys */
function readKeys(text: string): JSONWebKeySet {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Error('it is no JSON');
  }
  const { keys } = Object(parsed) as { keys?: unknown };
  if (!Array.isArray(keys)) throw new Error('it is no JSON Web Key Set: it has no list of keys');
  if (keys.length > KEYS_MAX) throw new Error(`it has ${keys.length} keys; at most ${KEYS_MAX} are looked at`);
  const usable = (keys as unknown[]).filter((key) => KEY_TYPES.has((Object(key) as { kty?: unknown }).kty));
  if (usable.length === 0) throw new Error('it has no public key of the types RSA, EC or OKP');
  return { keys: usable } as JSONWebKeySet;
}

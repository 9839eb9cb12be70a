import { createHash } from 'node:crypto';
import { errors, type JWTPayload, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import { AlertError } from '../../domain/errors.js';
import type { Identity } from '../grpc/identity.js';
import type { Logger } from '../logging.js';
import { Turns } from '../turns.js';
import { wallClock } from '../wall-clock.js';
import { claimOf, isService, type ServiceRule } from './claims.js';
import { KeySet, KeysUnavailable } from './key-set.js';

export interface JwtOptions {
  /** A file, or an http(s) URL. */
  readonly jwks: string;
  readonly issuers: readonly string[];
  readonly audiences: readonly string[];
  /** Names of claims, or paths with dots into nested ones; the first that a token has counts. */
  readonly subjectClaims: readonly string[];
  readonly scopeClaims: readonly string[];
  /** One that holds makes the subject a service. */
  readonly serviceRules: readonly ServiceRule[];
  /** The scopes that mean something here; others are left out. */
  readonly scopes: ReadonlySet<string>;
  readonly refreshMs: number;
}

/** Of two keys alone: with a shared secret (HS256) whoever verifies could make tokens, and `none` proves nothing. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
/** Whose clock goes ahead or behind by so much is believed. */
const SKEW_S = 30;
/** Keycloak's tokens of people with many roles have some 4,000. */
const LENGTH_MAX = 16_384;
/** Verified tokens, by their hash: some 300 bytes each. */
const KEPT_MAX = 20_000;
/** Signatures that are checked at once: libuv has four threads. */
const AT_ONCE = 8;
/** Tokens that wait for it, in all and of one caller. */
const WAITING_MAX = 2000;
const WAITING_OF_CALLER_MAX = 500;
const RETRY_MS = 500;
const SUBJECT = /^[\x21-\x7e]([\x20-\x7e]{0,126}[\x21-\x7e])?$/;

interface Kept {
  readonly identity: Identity;
  readonly generation: number;
}

/** Whom a signed token (JWT, RFC 7519 and 9068) speaks for. */
export class JwtVerifier {
  readonly keys: KeySet;
  readonly #kept = new LRUCache<string, Kept>({ max: KEPT_MAX });
  readonly #turns = new Turns(AT_ONCE);
  readonly #waiting = new Map<string, number>();
  #waitingInAll = 0;

  constructor(
    private readonly options: JwtOptions,
    logger: Logger,
  ) {
    this.keys = new KeySet({ source: options.jwks, refreshMs: options.refreshMs }, logger);
  }

  /**
   * @param caller whose tokens are verified in turn with those of others, such as a connection's address
   * @returns at once for a token that was verified before
   * @throws AlertError UNAUTHENTICATED saying what is wrong with the token, UNAVAILABLE while there are no keys,
   * RESOURCE_EXHAUSTED with RetryInfo (TOO_MANY_TOKENS) if too many wait
   */
  verify(token: string, caller: string, signal: AbortSignal): Identity | Promise<Identity> {
    if (token.length > LENGTH_MAX)
      throw refusal('TOKEN_MALFORMED', `has ${token.length} characters, of at most ${LENGTH_MAX}`);
    const hash = createHash('sha256').update(token).digest('base64');
    // A key that is withdrawn counts no more, also where nobody comes with a new token.
    this.keys.refresh();
    const kept = this.#kept.get(hash);
    if (kept?.generation === this.keys.generation && wallClock() < kept.identity.expiresAt!) return kept.identity;
    return this.#inTurn(caller, signal, async () => {
      const identity = await this.#check(token);
      this.#kept.set(hash, { identity, generation: this.keys.generation });
      return identity;
    });
  }

  async #inTurn<T>(caller: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const waiting = this.#waiting.get(caller) ?? 0;
    if (this.#waitingInAll >= WAITING_MAX || waiting >= WAITING_OF_CALLER_MAX) {
      const message = `${waiting} tokens of this connection wait to be verified, ${this.#waitingInAll} in all; try again`;
      throw new AlertError('RESOURCE_EXHAUSTED', 'TOO_MANY_TOKENS', message, { retryAfterMs: RETRY_MS });
    }
    this.#waitingInAll += 1;
    this.#waiting.set(caller, waiting + 1);
    try {
      return await this.#turns.run('', caller, signal, work);
    } finally {
      this.#waitingInAll -= 1;
      const left = this.#waiting.get(caller)! - 1;
      if (left > 0) this.#waiting.set(caller, left);
      else this.#waiting.delete(caller);
    }
  }

  async #check(token: string): Promise<Identity> {
    const { issuers, audiences } = this.options;
    try {
      const { payload } = await jwtVerify(token, this.keys.find, {
        issuer: [...issuers],
        audience: [...audiences],
        algorithms: ALGORITHMS,
        clockTolerance: SKEW_S,
        requiredClaims: ['exp'],
        currentDate: new Date(wallClock()),
      });
      return this.#identityOf(payload);
    } catch (error) {
      throw told(error as Error);
    }
  }

  #identityOf(claims: JWTPayload): Identity {
    const { subjectClaims, scopeClaims, serviceRules, scopes } = this.options;
    const subject = firstOf(claims, subjectClaims);
    if (typeof subject !== 'string' || !SUBJECT.test(subject)) {
      const names = subjectClaims.join(' or ');
      throw refusal('TOKEN_SUBJECT', `must name its subject in ${names}, in 1 to 128 printable ASCII characters`);
    }
    const granted = scopesOf(firstOf(claims, scopeClaims)).filter((scope) => scopes.has(scope));
    return {
      kind: serviceRules.some((rule) => isService(claims, rule)) ? 'service' : 'user',
      subject,
      scopes: new Set(granted),
      expiresAt: (claims.exp! + SKEW_S) * 1000,
    };
  }
}

function firstOf(claims: JWTPayload, names: readonly string[]): unknown {
  for (const name of names) {
    const value = claimOf(claims, name);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** A string of scopes between spaces (RFC 8693), or a list. */
function scopesOf(value: unknown): string[] {
  if (typeof value === 'string') return value.split(' ');
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}

function refusal(reason: string, message: string, cause?: unknown): AlertError {
  return new AlertError('UNAUTHENTICATED', reason, `the token ${message}`, { cause });
}

/** What the caller is told; jose's own words name claims, and never their values. */
function told(error: Error): AlertError {
  if (error instanceof AlertError) return error;
  if (error instanceof KeysUnavailable)
    return new AlertError('UNAVAILABLE', 'KEYS_UNAVAILABLE', 'tokens cannot be verified at the moment; try again', {
      retryAfterMs: 2000,
      cause: error,
    });
  if (error instanceof errors.JWTExpired) return refusal('TOKEN_EXPIRED', 'has expired; send a fresh one', error);
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'nbf' && error.reason === 'check_failed')
      return refusal('TOKEN_NOT_YET_VALID', 'is not valid yet', error);
    const reason = { iss: 'TOKEN_ISSUER', aud: 'TOKEN_AUDIENCE' }[error.claim] ?? 'TOKEN_MALFORMED';
    return refusal(reason, `is not for this service: ${error.message}`, error);
  }
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return refusal('TOKEN_SIGNATURE', 'has a signature that its key did not make', error);
  if (error instanceof errors.JWKSNoMatchingKey)
    return refusal('TOKEN_SIGNATURE', 'is signed with a key that its issuer does not publish', error);
  if (error instanceof errors.JWKSMultipleMatchingKeys)
    return refusal('TOKEN_SIGNATURE', 'does not say with which of several keys it is signed (kid)', error);
  if (error instanceof errors.JOSEAlgNotAllowed)
    return refusal('TOKEN_ALGORITHM', `must be signed with one of ${ALGORITHMS.join(', ')}`, error);
  return refusal('TOKEN_MALFORMED', 'is no signed JWT', error);
}

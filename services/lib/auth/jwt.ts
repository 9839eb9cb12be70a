import { createHash } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, errors, type JWSHeaderParameters, type JWTPayload, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import { AlertError } from '../../domain/errors.js';
import { type Identity, SUBJECT } from '../grpc/identity.js';
import type { Logger } from '../logging.js';
import { wait } from '../retry.js';
import { SharedRoom } from '../shared-room.js';
import { Turns } from '../turns.js';
import { wallClock } from '../wall-clock.js';
import { claimOf, isService, type ServiceRule } from './claims.js';
import { type FoundKey, KeySet, KeysUnavailable } from './key-set.js';

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
/** Keycloak's tokens of people with many roles have some 4,000; clients look too (client/identity.ts). */
const LENGTH_MAX = 16_384;
/** Verified tokens, by their hash: some 300 bytes each. */
const KEPT_MAX = 20_000;
/**
 * Signatures that are checked at once. Beside 2000 forged ES256 tokens that are always there, a good one of another
 * address takes 1 to 3 ms on two busy cores (median); with 8 it takes 3 to 10, with 2 no less than with 4.
 */
const AT_ONCE = 4;
/** How long the turn lasts that a token takes to be refused: so an address has some 200 a second of them. */
const REFUSED_MS = 20;
/** Tokens that are being verified; one address has at most as much of it as stays free, so half of it alone. */
export const VERIFYING_MAX = 20_000;
/** Tokens of unknown keys that wait for the source of the keys, up to 5 s, beside those; shared in the same way. */
const ASKING_MAX = 2000;
const RETRY_MS = 500;

interface Kept {
  readonly identity: Identity;
  readonly generation: number;
}

/** Where a token came from. */
interface Origin {
  /** Its address; the connection, where a token was good on it. */
  readonly caller: string;
  readonly peer: string;
  /** Gives back the room that it has; to be called once. */
  leave: () => void;
}

/** Whom a signed token (JWT, RFC 7519 and 9068) speaks for. */
export class JwtVerifier {
  readonly keys: KeySet;
  readonly #kept = new LRUCache<string, Kept>({ max: KEPT_MAX });
  /** By the token's hash: calls that bring the same one share its verification. */
  readonly #verifying = new Map<string, Promise<Identity>>();
  readonly #room = new SharedRoom(VERIFYING_MAX);
  readonly #asking = new SharedRoom(ASKING_MAX);
  readonly #turns = new Turns(AT_ONCE);
  /** Within an address, by connection: as many go on to the turns of addresses. */
  readonly #turnsOfAddress = new Turns(AT_ONCE);
  /** Connections on which a token was good: they have turns of their own. */
  readonly #proven = new LRUCache<string, true>({ max: KEPT_MAX });

  constructor(
    private readonly options: JwtOptions,
    logger: Logger,
  ) {
    this.keys = new KeySet({ source: options.jwks, refreshMs: options.refreshMs }, logger);
  }

  /**
   * @param peer the address and port that it came from. Addresses take turns, and within one its connections, so that
   * it helps nobody to open a thousand; those on which a token was good have turns as if they were addresses
   * @returns at once for a token that was verified before
   * @throws AlertError UNAUTHENTICATED saying what is wrong with the token, UNAVAILABLE while there are no keys,
   * RESOURCE_EXHAUSTED with RetryInfo (TOO_MANY_TOKENS) if the caller has too many verified at once
   */
  verify(token: string, peer: string): Identity | Promise<Identity> {
    const hash = createHash('sha256').update(token).digest('base64');
    // A key that is withdrawn counts no more, also where nobody comes with a new token.
    this.keys.refresh();
    const kept = this.#kept.get(hash);
    if (kept?.generation === this.keys.generation && wallClock() < kept.identity.expiresAt!) return kept.identity;
    return this.#verifying.get(hash) ?? this.#begin(token, hash, peer);
  }

  /** How many are being verified. */
  get verifying(): number {
    return this.#room.taken;
  }

  #begin(token: string, hash: string, peer: string): Promise<Identity> {
    const caller = this.#proven.has(peer) ? peer : peer.replace(/:\d+$/, '');
    const leave = enter(this.#room, caller);
    const verifying = this.#check(token, hash, { caller, peer, leave }).finally(() => this.#verifying.delete(hash));
    verifying.then(
      () => this.#proven.set(peer, true),
      () => this.#proven.delete(peer),
    );
    this.#verifying.set(hash, verifying);
    return verifying;
  }

  async #check(token: string, hash: string, from: Origin): Promise<Identity> {
    const { issuers, audiences } = this.options;
    try {
      if (token.length > LENGTH_MAX)
        throw refusal('TOKEN_MALFORMED', `has ${token.length} characters, of at most ${LENGTH_MAX}`);
      const { key, generation } = await this.#keyOf(headerOf(token), from);
      const { payload } = await this.#inTurn(from, () =>
        jwtVerify(token, key, {
          issuer: [...issuers],
          audience: [...audiences],
          algorithms: ALGORITHMS,
          clockTolerance: SKEW_S,
          requiredClaims: ['exp'],
          currentDate: new Date(wallClock()),
        }),
      );
      const identity = this.#identityOf(payload);
      // Not if it may have been verified with a key that is withdrawn now.
      if (generation === this.keys.generation) this.#kept.set(hash, { identity, generation });
      return identity;
    } catch (error) {
      const refused = told(error as Error);
      if (refused instanceof AlertError && refused.code === 'UNAUTHENTICATED') await this.#linger(from);
      throw refused;
    } finally {
      from.leave();
    }
  }

  /** Before the turn, in other room: who names a key that nobody knows waits for its source, and holds up nobody. */
  async #keyOf(header: JWSHeaderParameters, from: Origin): Promise<FoundKey> {
    const known = await this.keys.known(header);
    if (known !== undefined) return known;
    const leave = enter(this.#asking, from.caller);
    from.leave();
    from.leave = leave;
    return this.keys.find(header);
  }

  /** What others wait for as well is not given up when one of them has gone: there is no signal. */
  #inTurn<T>({ caller, peer }: Origin, work: () => Promise<T>): Promise<T> {
    return this.#turnsOfAddress.run(caller, peer, undefined, () => this.#turns.run('', caller, undefined, work));
  }

  /** Whatever is wrong with a token, also where no signature was checked: to refuse a call costs as much. */
  #linger({ caller, peer }: Origin): Promise<void> {
    return this.#turnsOfAddress.run(caller, peer, undefined, () => wait(REFUSED_MS));
  }

  #identityOf(claims: JWTPayload): Identity {
    const { subjectClaims, scopeClaims, serviceRules, scopes } = this.options;
    const subject = subjectOf(claims, subjectClaims);
    if (subject === undefined) {
      const names = subjectClaims.join(' or ');
      throw refusal('TOKEN_SUBJECT', `must name its subject in ${names}, in 1 to 128 printable ASCII characters`);
    }
    const granted = scopesOf(firstOf(claims, scopeClaims)?.value).filter((scope) => scopes.has(scope));
    return {
      kind: serviceRules.some((rule) => isService(claims, rule)) ? 'service' : 'user',
      subject,
      scopes: new Set(granted),
      credential: credentialOf(claims),
      expiresAt: (claims.exp! + SKEW_S) * 1000,
    };
  }
}

/** @returns leaves the room; to be called once @throws AlertError if the caller has as much of it as is left */
function enter(room: SharedRoom, caller: string): () => void {
  if (!room.isFullFor(caller)) return room.take(caller, 1);
  const message = `${room.takenBy(caller)} tokens of this address are being verified; try again later`;
  throw new AlertError('RESOURCE_EXHAUSTED', 'TOO_MANY_TOKENS', message, { retryAfterMs: RETRY_MS });
}

/** Without a look at its signature: of our own token. */
export function claimedSubject(token: string, subjectClaims: readonly string[]): string | undefined {
  return subjectOf(decodeJwt(token), subjectClaims);
}

/** Characters of a claim that are worth keeping. */
const NAMED_MAX = 128;

/** By what a token can be found at its issuer. */
function credentialOf({ iss, jti }: JWTPayload): string {
  const named = Object.entries({ iss, jti }).filter(([, value]) => typeof value === 'string');
  const shown = named.map(([name, value]) => `${name}=${value!.slice(0, NAMED_MAX).replace(/[^\x21-\x7e]/g, '?')}`);
  return ['jwt', ...shown].join(' ');
}

function subjectOf(claims: JWTPayload, names: readonly string[]): string | undefined {
  const { name, value: subject } = firstOf(claims, names) ?? {};
  // An address that its owner did not prove may be anybody's.
  if (name === 'email' && claims['email_verified'] !== true) return undefined;
  return typeof subject === 'string' && SUBJECT.test(subject) ? subject : undefined;
}

/** What a token says of itself; not to be believed. @throws jose's JOSEError */
function headerOf(token: string): JWSHeaderParameters {
  try {
    const header = decodeProtectedHeader(token);
    // Before its key is looked for: of what cannot be believed anyway nobody is asked.
    if (typeof header.alg !== 'string' || !ALGORITHMS.includes(header.alg))
      throw new errors.JOSEAlgNotAllowed('the algorithm is not allowed');
    return header;
  } catch (error) {
    if (error instanceof TypeError) throw new errors.JWSInvalid('no protected header', { cause: error });
    throw error;
  }
}

function firstOf(claims: JWTPayload, names: readonly string[]): { name: string; value: unknown } | undefined {
  return names.map((name) => ({ name, value: claimOf(claims, name) })).find(({ value }) => value !== undefined);
}

/** A string of scopes between spaces (RFC 8693), or a list. */
function scopesOf(value: unknown): string[] {
  if (typeof value === 'string') return value.split(' ');
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}

function refusal(reason: string, message: string, cause?: unknown): AlertError {
  return new AlertError('UNAUTHENTICATED', reason, `the token ${message}`, { cause });
}

/** By our clock, so that who knows that his token is fresh sees that a clock is wrong. */
function ago(seconds: number | undefined): string {
  if (seconds === undefined) return '';
  const since = Math.round(wallClock() / 1000 - seconds);
  const when = since < 0 ? `in ${-since} s only` : `${since} s ago`;
  return ` (${when} by the service's clock; is one of the clocks wrong?)`;
}

const FOR_OTHERS: Readonly<Record<string, [reason: string, what: string]>> = {
  iss: ['TOKEN_ISSUER', 'is of no issuer that this service believes (JWT_ISSUER)'],
  aud: ['TOKEN_AUDIENCE', 'is not for this service (JWT_AUDIENCE)'],
};
const MALFORMED = [errors.JWTInvalid, errors.JWSInvalid, errors.JOSENotSupported];

/** What the caller is told; jose's own words name claims, and never their values. */
function told(error: Error): Error {
  if (error instanceof AlertError) return error;
  if (error instanceof KeysUnavailable)
    return new AlertError('UNAVAILABLE', 'KEYS_UNAVAILABLE', 'tokens cannot be verified at the moment; try again', {
      retryAfterMs: 2000,
      cause: error,
    });
  if (error instanceof errors.JWTExpired)
    return refusal('TOKEN_EXPIRED', `has expired${ago(error.payload.exp)}; send a fresh one`, error);
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'nbf' && error.reason === 'check_failed')
      return refusal('TOKEN_NOT_YET_VALID', `is not valid yet${ago(error.payload.nbf)}`, error);
    const [reason, what] = FOR_OTHERS[error.claim] ?? ['TOKEN_MALFORMED', 'has a claim that makes no sense'];
    return refusal(reason, `${what}: ${error.message}`, error);
  }
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return refusal('TOKEN_SIGNATURE', 'has a signature that its key did not make', error);
  if (error instanceof errors.JWKSNoMatchingKey)
    return refusal('TOKEN_SIGNATURE', 'is signed with a key that its issuer does not publish', error);
  if (error instanceof errors.JWKSMultipleMatchingKeys)
    return refusal('TOKEN_SIGNATURE', 'does not say with which of several keys it is signed (kid)', error);
  if (error instanceof errors.JOSEAlgNotAllowed)
    return refusal('TOKEN_ALGORITHM', `must be signed with one of ${ALGORITHMS.join(', ')}`, error);
  if (MALFORMED.some((kind) => error instanceof kind)) return refusal('TOKEN_MALFORMED', 'is no signed JWT', error);
  // Ours, and none of the caller's.
  return error;
}

// Access: the OAuth token endpoint for service accounts (RFC 7523, as Google documents it), and the check of bearer
// tokens.
import { createPublicKey, generateKeyPair, type KeyObject, randomBytes, randomUUID, verify } from 'node:crypto';
import { promisify } from 'node:util';
import type { ServiceAccount } from './control-types.js';
import { type Answer, fcmError, jsonAnswer } from './google-errors.js';

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const GOOGLE_TOKEN_URL = 'https://oauth2.googleapis.com/token';
const SCOPES = ['https://www.googleapis.com/auth/firebase.messaging', 'https://www.googleapis.com/auth/cloud-platform'];
/** Google takes no assertion that holds for longer. */
const ASSERTION_LIFETIME_S = 3600;
/** How far clocks may differ. */
const SKEW_S = 60;
const MISSING =
  'Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid authentication credential.';

interface Claims {
  readonly iss?: unknown;
  readonly aud?: unknown;
  readonly scope?: unknown;
  readonly iat?: unknown;
  readonly exp?: unknown;
}

export class Access {
  readonly #publicKey: KeyObject;
  /** When each access token ends, by the token. */
  readonly #tokens = new Map<string, number>();
  given = 0;
  refused = 0;

  constructor(
    readonly serviceAccount: ServiceAccount,
    private readonly lifetimeS: number,
  ) {
    this.#publicKey = createPublicKey(serviceAccount.private_key);
  }

  /** Answers `POST /token`. */
  grant(form: URLSearchParams): Answer {
    const refusal =
      form.get('grant_type') === JWT_BEARER
        ? this.#refusal(form.get('assertion') ?? '')
        : { error: 'unsupported_grant_type', error_description: 'Invalid grant_type' };
    if (refusal !== undefined) {
      this.refused += 1;
      return jsonAnswer(400, refusal);
    }
    this.given += 1;
    const token = `ya29.${randomBytes(48).toString('base64url')}`;
    this.#tokens.set(token, Date.now() + this.lifetimeS * 1000);
    return jsonAnswer(200, { access_token: token, expires_in: this.lifetimeS, token_type: 'Bearer' });
  }

  /** What to answer to a request with this Authorization header when it may not go on. */
  denial(header: string | undefined): Answer | undefined {
    const token = /^Bearer (.+)$/i.exec(header ?? '')?.[1];
    if (token === undefined) return fcmError('UNAUTHENTICATED', MISSING);
    return (this.#tokens.get(token) ?? 0) > Date.now() ? undefined : fcmError('UNAUTHENTICATED');
  }

  revokeAll(): void {
    this.#tokens.clear();
  }

  #refusal(assertion: string): { error: string; error_description: string } | undefined {
    const invalid = (error_description: string) => ({ error: 'invalid_grant', error_description });
    const [header = '', payload = '', signature = '', ...more] = assertion.split('.');
    const claims = decode(payload) as Claims | undefined;
    const algorithm = (decode(header) as { alg?: unknown } | undefined)?.alg;
    if (claims === undefined || algorithm !== 'RS256' || more.length > 0) return invalid('Invalid JWT');
    const signed = Buffer.from(`${header}.${payload}`);
    if (!verify('RSA-SHA256', signed, this.#publicKey, Buffer.from(signature, 'base64url'))) {
      return invalid('Invalid JWT Signature.');
    }
    if (claims.iss !== this.serviceAccount.client_email) return invalid('Invalid grant: account not found');
    if (claims.aud !== GOOGLE_TOKEN_URL && claims.aud !== this.serviceAccount.token_uri) {
      return invalid('Invalid JWT: wrong audience');
    }
    if (!holdsNow(claims)) {
      return invalid('Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.');
    }
    const scopes = typeof claims.scope === 'string' ? claims.scope.split(' ') : [];
    if (!scopes.some((scope) => SCOPES.includes(scope))) {
      return { error: 'invalid_scope', error_description: 'Invalid OAuth scope or ID token audience provided.' };
    }
    return undefined;
  }
}

function holdsNow({ iat, exp }: Claims): boolean {
  if (typeof iat !== 'number' || typeof exp !== 'number') return false;
  const now = Date.now() / 1000;
  return iat <= now + SKEW_S && exp > now - SKEW_S && exp - iat <= ASSERTION_LIFETIME_S;
}

function decode(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString()) ?? undefined;
  } catch {
    return undefined;
  }
}

/** A service account with a fresh key. */
export async function makeServiceAccount(projectId: string, tokenUri: string): Promise<ServiceAccount> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  return {
    type: 'service_account',
    project_id: projectId,
    private_key_id: randomUUID().replaceAll('-', ''),
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    client_email: `push@${projectId}.iam.gserviceaccount.com`,
    client_id: '100000000000000000001',
    token_uri: tokenUri,
  };
}

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { defer } from './defer.js';

export const ISSUER = 'https://login.example';
export const AUDIENCE = 'ssom-alert';

/** A key pair of somebody who signs tokens. */
export interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

export async function signingKey(kid: string, alg = 'ES256'): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

export interface TokenOptions {
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Record<string, unknown>;
  /** From now, in seconds; negative: it has expired. */
  readonly expiresInS?: number;
}

/** A token as our issuer makes it, but for what is said otherwise; a claim that is undefined is left out. */
export function token(key: SigningKey, subject: string, scope: string, options: TokenOptions = {}): Promise<string> {
  const { claims = {}, header = {}, expiresInS = 600 } = options;
  const now = Math.floor(Date.now() / 1000);
  const payload = { iss: ISSUER, aud: AUDIENCE, sub: subject, scope, iat: now, exp: now + expiresInS, ...claims };
  return new SignJWT(payload).setProtectedHeader({ alg: key.alg, kid: key.kid, ...header }).sign(key.privateKey);
}

/** Where an issuer publishes its keys. */
export class KeyServer {
  /** What is answered; undefined: nothing, ever. */
  answer: { readonly status: number; readonly body: string } | undefined;
  asked = 0;

  private constructor(readonly url: string) {}

  static async start(t: TestContext, ...keys: readonly SigningKey[]): Promise<KeyServer> {
    const server = createServer((_request, response) => {
      keyServer.asked += 1;
      const { answer } = keyServer;
      if (answer !== undefined) response.writeHead(answer.status).end(answer.body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    defer(t, () => server.close().closeAllConnections());
    const keyServer = new KeyServer(`http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`);
    keyServer.publish(...keys);
    return keyServer;
  }

  publish(...keys: readonly SigningKey[]): void {
    this.answer = { status: 200, body: JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }) };
  }
}

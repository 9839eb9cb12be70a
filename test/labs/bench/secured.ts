// What makes a deployment believe tokens alone, and encrypt: its variables, and how it is called.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localCertificates } from '../../support/certificates.js';
import { AUDIENCE, ISSUER, type SigningKey, signingKey, token } from '../../support/tokens.js';

const LIFE_S = 86_400;

export interface Secured {
  readonly environment: Readonly<Record<string, string>>;
  /** PEM: whom a client trusts; undefined: nothing is encrypted. */
  readonly authority: string | undefined;
  readonly service: (name: string) => Promise<string>;
  readonly user: (userId: string) => Promise<string>;
}

/** Its files are in the folder for temporary ones, without secrets of anybody. */
export async function secured({ tls }: { tls: boolean }): Promise<Secured> {
  const folder = mkdtempSync(join(tmpdir(), 'ssom-bench-'));
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const key: SigningKey = await signingKey('bench');
  const certificates = localCertificates();
  const jwt = {
    AUTH_MODE: 'jwt',
    JWT_JWKS: file('jwks.json', JSON.stringify({ keys: [key.jwk] })),
    JWT_ISSUER: ISSUER,
    JWT_AUDIENCE: AUDIENCE,
  };
  const encryption = tls && {
    GRPC_TLS_CERT_FILE: file('cert.pem', certificates.certificate),
    GRPC_TLS_KEY_FILE: file('key.pem', certificates.key),
  };
  const all = 'alerts:create alerts:read inbox directory:admin admin';
  return {
    environment: { ...jwt, ...encryption },
    authority: tls ? certificates.authority : undefined,
    service: (name) => token(key, name, all, { claims: { client_id: name }, expiresInS: LIFE_S }),
    user: (userId) => token(key, userId, 'inbox', { expiresInS: LIFE_S }),
  };
}

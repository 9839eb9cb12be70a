import type { TestContext } from 'node:test';
import { NO_ACCOUNT } from '../../services/store/audit.js';
import { upsertUsers } from '../../services/store/directory.js';
import { SMALL_DIRECTORY } from './directory.js';
import { startTestCluster, type TestCluster } from './in-process.js';
import { AUDIENCE, ISSUER, KeyServer, type SigningKey, signingKey } from './tokens.js';

/** A cluster with SMALL_DIRECTORY, whose roles believe what is signed with the key. */
export async function startJwtCluster(
  t: TestContext,
  more: Readonly<Record<string, string>> = {},
): Promise<{ cluster: TestCluster; key: SigningKey }> {
  const key = await signingKey('k1');
  const keys = await KeyServer.start(t, key);
  const env = { AUTH_MODE: 'jwt', JWT_JWKS: keys.url, JWT_ISSUER: ISSUER, JWT_AUDIENCE: AUDIENCE, ...more };
  const cluster = await startTestCluster(t, env);
  await upsertUsers(cluster.store.database, SMALL_DIRECTORY, NO_ACCOUNT);
  return { cluster, key };
}

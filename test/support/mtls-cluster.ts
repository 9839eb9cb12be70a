import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { TlsFiles } from '../../services/lib/grpc/tls-files.js';
import { silentLogger } from '../../services/lib/logging.js';
import { localCertificates } from './certificates.js';
import { defer } from './defer.js';
import { startJwtCluster } from './jwt-cluster.js';

/** startJwtCluster, whose roles may be served with `tls` and know services by their certificates. */
export async function startMtlsCluster(
  t: TestContext,
  services: Readonly<Record<string, { readonly service: string; readonly scopes: readonly string[] }>>,
) {
  const folder = await mkdtemp(join(tmpdir(), 'ssom-mtls-'));
  defer(t, () => rm(folder, { recursive: true }));
  const certificates = localCertificates();
  /** Writes a file. @returns its path */
  const file = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  const env = {
    GRPC_TLS_CERT_FILE: await file('cert.pem', certificates.certificate),
    GRPC_TLS_KEY_FILE: await file('key.pem', certificates.key),
    GRPC_TLS_CLIENT_CA_FILE: await file('ca.pem', certificates.authority),
    GRPC_TLS_IDENTITIES_FILE: await file('services.json', JSON.stringify(services)),
  };
  const tls = new TlsFiles(
    {
      certFile: env.GRPC_TLS_CERT_FILE,
      keyFile: env.GRPC_TLS_KEY_FILE,
      clientCaFile: env.GRPC_TLS_CLIENT_CA_FILE,
    },
    silentLogger(),
  );
  return { ...(await startJwtCluster(t, env)), certificates, file, tls: tls.credentials };
}

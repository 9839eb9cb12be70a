// What the service itself needs in a secured stack: a certificate for gRPC, and tokens of the stack's issuer.
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { certificateFiles, LOCAL_NAMES } from './certificates.mjs';
import { issuerToken } from './secure-kafka.mjs';

const AUDIENCE = 'ssom-alert';

/**
 * A token that the service believes with JWT_JWKS=issuer-keys.json of the folder, for an hour.
 * @param {string} folder
 * @param {{ subject: string, scope: string, isService: boolean }} wanted
 */
export function serviceToken(folder, { subject, scope, isService }, seconds = 3600) {
  const exp = Math.floor(Date.now() / 1000) + seconds;
  return issuerToken(folder, subject, { aud: AUDIENCE, scope, exp, ...(isService ? { client_id: subject } : {}) });
}

/** The certificate of alert-api and of stream-gateways, and the token of alerts about ourselves. @param {string} folder */
export async function serviceSecrets(folder) {
  await certificateFiles(folder, 'grpc', LOCAL_NAMES);
  const token = serviceToken(folder, { subject: 'ssom-alert', scope: 'alerts:create', isService: true }, 31_536_000);
  await writeFile(path.join(folder, 'self-alerts.token'), token, { mode: 0o600 });
}

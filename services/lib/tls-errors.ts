/** What is wrong between a TLS server and us, by how the codes of OpenSSL and Node begin or end. */
const FAULTS: readonly (readonly [code: RegExp, fault: string])[] = [
  [
    /SELF_SIGNED_CERT|^UNABLE_TO_(VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT)|^CERT_(SIGNATURE_FAILURE|UNTRUSTED)$|^INVALID_CA$/,
    'its certificate is of no authority that is trusted here',
  ],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$|^HOSTNAME_MISMATCH$/, 'its certificate is for another name than it was called by'],
  [/^CERT_HAS_EXPIRED$/, 'its certificate has expired'],
  [/^CERT_NOT_YET_VALID$/, 'its certificate is not valid yet, or the clock of this machine is wrong'],
  [/^ERR_SSL_.*ALERT_/, 'it does not take our certificate, or wants one'],
  [/^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$|^EPROTO$/, 'it does not speak TLS, or no version of ours'],
];

/** Says it of an error, or of what caused it; undefined: TLS is not what is wrong. */
export function tlsFault(error: unknown): string | undefined {
  const { code, cause } = Object(error) as { code?: unknown; cause?: unknown };
  const found = FAULTS.find(([pattern]) => typeof code === 'string' && pattern.test(code))?.[1];
  return found ?? (cause === undefined ? undefined : tlsFault(cause));
}

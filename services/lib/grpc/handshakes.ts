import type { Http2Server } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** Why a connection ended in its TLS handshake, in words that follow "a client that …". */
export const HANDSHAKE_FAILURES = {
  no_certificate: 'shows no certificate, which GRPC_TLS_CLIENT_CA_FILE asks for',
  unknown_authority: 'has a certificate that no authority in GRPC_TLS_CLIENT_CA_FILE has signed',
  certificate_expired: 'has a certificate that has expired',
  certificate_not_yet_valid: 'has a certificate that is not valid yet; is one of the clocks wrong?',
  certificate_invalid: 'has a certificate that is not for clients, or has a broken chain',
  old_protocol: 'offers less than TLS 1.2',
  no_cipher: 'offers no cipher of ours: ECDHE with AES-GCM or ChaCha20-Poly1305',
  no_tls: 'speaks without TLS',
  no_alpn: 'does not offer HTTP/2 (ALPN h2)',
  other: 'sends what is no handshake',
  refused_by_client: 'refuses us: look at its authorities and the name that it calls',
  gone: 'goes away, as probes do, and clients that do not believe our certificate',
} as const;
export type HandshakeFailure = keyof typeof HANDSHAKE_FAILURES;

/** These are no attempt at what is not allowed. */
const CLIENTS_CHOICE: ReadonlySet<HandshakeFailure> = new Set(['refused_by_client', 'gone']);

/** What OpenSSL finds wrong with a client's certificate. Same name and another key is a bad signature to it. */
const BY_CERTIFICATE: Readonly<Record<string, HandshakeFailure>> = {
  CERT_HAS_EXPIRED: 'certificate_expired',
  CERT_NOT_YET_VALID: 'certificate_not_yet_valid',
  CERT_SIGNATURE_FAILURE: 'unknown_authority',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'unknown_authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'unknown_authority',
  UNABLE_TO_GET_ISSUER_CERT: 'unknown_authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unknown_authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unknown_authority',
};

const BY_CODE: Readonly<Record<string, HandshakeFailure>> = {
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: 'no_certificate',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'old_protocol',
  ERR_SSL_NO_SHARED_CIPHER: 'no_cipher',
  ERR_SSL_HTTP_REQUEST: 'no_tls',
  ERR_SSL_WRONG_VERSION_NUMBER: 'no_tls',
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'no_alpn',
  ECONNRESET: 'gone',
  EPIPE: 'gone',
};
/** The client's own word, sent as an alert. */
const ALERT = /^ERR_SSL_.*_ALERT_/;

/** A connection that somebody did not get. */
export interface RefusedHandshake {
  readonly failure: HandshakeFailure;
  /** Empty: not known any more. */
  readonly address: string;
}

/** Counts connections that end before they speak HTTP/2, and tells of those that were refused. */
export class Handshakes {
  readonly #failed = new Map(Object.keys(HANDSHAKE_FAILURES).map((failure) => [failure as HandshakeFailure, 0]));

  constructor(private readonly onRefused: (refused: RefusedHandshake) => void) {}

  /** How many failed, by reason. */
  get failed(): ReadonlyMap<HandshakeFailure, number> {
    return this.#failed;
  }

  watch(listener: Http2Server): void {
    listener.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
      // It has a bound of its own (connections.ts).
      if (error.code !== 'ERR_TLS_HANDSHAKE_TIMEOUT') this.#note(failureOf(error, socket), socket);
    });
    // Who offers no protocol at all shakes hands, and is answered in HTTP/1.0 by Node.
    listener.on('secureConnection', (socket: TLSSocket) => {
      if (socket.alpnProtocol !== 'h2') this.#note('no_alpn', socket);
    });
  }

  #note(failure: HandshakeFailure, socket: TLSSocket): void {
    this.#failed.set(failure, this.#failed.get(failure)! + 1);
    if (!CLIENTS_CHOICE.has(failure)) this.onRefused({ failure, address: addressOf(socket) });
  }
}

function failureOf({ code = '' }: NodeJS.ErrnoException, socket: TLSSocket): HandshakeFailure {
  // Typed as an Error, it is a code; null without one.
  const ofCertificate = socket.authorizationError as unknown as string | null;
  if (ofCertificate !== null) return BY_CERTIFICATE[ofCertificate] ?? 'certificate_invalid';
  return BY_CODE[code] ?? (ALERT.test(code) ? 'refused_by_client' : 'other');
}

/** One that Node has closed knows its address no more; the socket below, of which it was read, does. */
function addressOf(socket: TLSSocket): string {
  const { _parent } = socket as TLSSocket & { _parent?: Socket };
  return socket.remoteAddress ?? _parent?.remoteAddress ?? '';
}

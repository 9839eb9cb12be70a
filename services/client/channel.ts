import { X509Certificate } from 'node:crypto';
import * as grpc from '@grpc/grpc-js';
import { shown } from './check.js';
import { AlertClientError } from './errors.js';

const CHANNEL_OPTIONS: grpc.ChannelOptions = {
  // A connection that carries a call and does not answer a ping for 10 s is dead.
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  // The default waits up to two minutes before it dials again.
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 5000,
  // A page of 500 alerts with messages of 16,384 characters of 4 bytes.
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
  // Otherwise a new channel would be given the connection that was just found dead.
  'grpc.use_local_subchannel_pool': 1,
  // Saves a DNS query for a TXT record that nobody writes.
  'grpc.service_config_disable_resolution': 1,
};

/** Who shows a certificate of its own, and whose it trusts; all in PEM. */
export interface MutualTls {
  readonly certificate: string;
  readonly key: string;
  /** Default: what Node trusts. */
  readonly authorities?: string;
}

/**
 * true: trusts what Node trusts; a PEM text: these authorities alone.
 * @throws AlertClientError INVALID_ARGUMENT (TLS_INVALID) if a text holds no certificates, or a key is another one's
 */
export function channelCredentials(tls: boolean | string | MutualTls): grpc.ChannelCredentials {
  if (tls === false) return grpc.credentials.createInsecure();
  if (tls === true) return grpc.credentials.createSsl();
  try {
    if (typeof tls === 'string') return grpc.credentials.createSsl(certificates(tls));
    const { certificate, key, authorities } = tls;
    const roots = authorities === undefined ? null : certificates(authorities);
    return grpc.credentials.createSsl(roots, Buffer.from(key), certificates(certificate));
  } catch (error) {
    const message = `tls must be true, false, certificates in PEM, or { certificate, key }: ${(error as Error).message}`;
    throw new AlertClientError('INVALID_ARGUMENT', 'TLS_INVALID', message, { cause: error });
  }
}

/** Node takes any text for a list of authorities, and then trusts nobody. @throws Error if there is none */
function certificates(pem: string): Buffer {
  new X509Certificate(pem);
  return Buffer.from(pem);
}

/** host:port, or one of grpc-js's own schemes. */
const ADDRESS = /^((\[[0-9a-f:.%]+\]|[^\s:/[\]]+):\d{1,5}|(dns|ipv4|ipv6|unix|unix-abstract):\S+)$/i;

/**
 * @throws AlertClientError INVALID_ARGUMENT (ADDRESS_INVALID) for what would be looked up for ever, or at a port that
 * nobody meant
 */
export function openChannel(address: string, credentials: grpc.ChannelCredentials): grpc.Channel {
  if (typeof address !== 'string' || !ADDRESS.test(address)) {
    const message = `an address must be host:port, for example localhost:50051, not ${shown(address)}`;
    throw new AlertClientError('INVALID_ARGUMENT', 'ADDRESS_INVALID', message);
  }
  return new grpc.Channel(address, credentials, CHANNEL_OPTIONS);
}

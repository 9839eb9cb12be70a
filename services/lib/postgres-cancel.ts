import { isIP, type Socket } from 'node:net';
import pg from 'pg';

/** What pg's clients and connections have besides what its types tell. */
interface Client {
  readonly host: string;
  readonly port: number;
  readonly ssl: boolean | object;
  readonly sslNegotiation: string;
  readonly processID: number | null;
  readonly secretKey: number | null;
  readonly connection: { readonly stream: Socket };
}

interface CancelConnection extends pg.Connection {
  connect(port: number | string, host?: string): void;
  requestSsl(): void;
  cancel(processId: number, secretKey: number): void;
}

/** The socket of a connection. */
export function streamOf(connection: pg.ClientBase): Socket {
  return (connection as unknown as Client).connection.stream;
}

/**
 * Asks the server of a connection to stop what runs on it. The secret key that goes with it is known to that session
 * alone, so whoever else is asked, after a failover or behind a pooler, stops nothing.
 * @throws if the request could not be sent within `timeoutMs`
 */
export function cancelStatement(connection: pg.ClientBase, timeoutMs: number): Promise<void> {
  const client = connection as unknown as Client;
  const { host, port, ssl, sslNegotiation, processID, secretKey } = client;
  if (processID === null || secretKey === null) return Promise.resolve();
  // The name may lead to another server by now.
  const address = streamOf(connection).remoteAddress ?? host;
  const options = { ssl: ssl === false ? false : tlsOptions(ssl, host), sslNegotiation };
  const request = new pg.Connection(options) as CancelConnection;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => request.stream.destroy(new Error('timeout expired')), timeoutMs);
    const send = () => request.cancel(processID, secretKey);
    request.once('connect', () => {
      if (ssl === false) send();
      else if (sslNegotiation !== 'direct') request.requestSsl();
    });
    request.once('sslconnect', send);
    request.on('error', reject);
    // The server answers by hanging up.
    request.once('end', () => {
      clearTimeout(timer);
      resolve();
    });
    if (host.startsWith('/')) request.connect(`${host}/.s.PGSQL.${port}`);
    else request.connect(port, address);
  });
}

/** Those of the connection; its certificate is that of the name, although an address is connected to. */
function tlsOptions(ssl: true | object, host: string): object {
  if (ssl === true) return isIP(host) === 0 ? { servername: host } : {};
  // pg hides the key from those who list what there is.
  const key = 'key' in ssl ? { key: ssl.key } : {};
  return { ...(isIP(host) === 0 && { servername: host }), ...ssl, ...key };
}

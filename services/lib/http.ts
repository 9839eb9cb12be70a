import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { withoutSecrets } from './secrets.js';
import type { Metrics } from './telemetry/metrics.js';

/** What a role wants and whether it has it; `ok` of all that are required makes it ready. */
export interface Readiness {
  readonly ok: boolean;
  readonly required: boolean;
  readonly reason: string;
}

export type ReadinessChecks = () => Record<string, Readiness>;

export interface HttpEndpoint {
  readonly address: string;
  close(): Promise<void>;
}

/** What Node's parser says of a client that begins with HTTP/2, as gRPC does. */
const BEGINS_WITH_HTTP2 = 'HPE_PAUSED_H2_UPGRADE';
const PATHS = 'there are /livez, /readyz and /metrics, by HTTP/1.1; gRPC is served at GRPC_LISTEN';

/** Whoever speaks something else is told what this port is. */
function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const why = error.code === BEGINS_WITH_HTTP2 ? 'this port speaks no HTTP/2' : 'this is no HTTP request';
  const body = `${JSON.stringify({ error: `${why}: ${PATHS}` })}\n`;
  const head = [
    'HTTP/1.1 400 Bad Request',
    'connection: close',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/**
 * Serves /livez (200 while the process turns), /readyz (200 or 503, with the reasons as JSON) and /metrics.
 * @throws if the port is taken, naming it
 */
export async function startHttp(
  listen: string,
  readiness: ReadinessChecks,
  metrics: Metrics | undefined,
): Promise<HttpEndpoint> {
  const server = createServer((request, response) => {
    const [pathname] = (request.url ?? '/').split('?', 1);
    const json = (status: number, body: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(`${withoutSecrets(JSON.stringify(body))}\n`);
    };
    if (pathname === '/livez') return json(200, { status: 'alive' });
    if (pathname === '/readyz') {
      const checks = readiness();
      const ready = Object.values(checks).every(({ ok, required }) => ok || !required);
      return json(ready ? 200 : 503, { status: ready ? 'ready' : 'not ready', checks });
    }
    if (pathname === '/metrics' && metrics !== undefined) return metrics.serve(request, response);
    json(404, { error: PATHS });
  });
  server.on('clientError', refuse);
  const at = listen.lastIndexOf(':');
  const host = listen.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(new Error(`cannot listen on ${listen} for HTTP (${error.code}); set HTTP_LISTEN`, { cause: error })),
    );
    server.listen(Number(listen.slice(at + 1)), host, resolve);
  });
  return {
    address: `${host}:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

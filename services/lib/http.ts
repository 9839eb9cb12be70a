import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
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
      response.end(`${JSON.stringify(body)}\n`);
    };
    if (pathname === '/livez') return json(200, { status: 'alive' });
    if (pathname === '/readyz') {
      const checks = readiness();
      const ready = Object.values(checks).every(({ ok, required }) => ok || !required);
      return json(ready ? 200 : 503, { status: ready ? 'ready' : 'not ready', checks });
    }
    if (pathname === '/metrics' && metrics !== undefined) return metrics.serve(request, response);
    json(404, { error: 'there are /livez, /readyz and /metrics' });
  });
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

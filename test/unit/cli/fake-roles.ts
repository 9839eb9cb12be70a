import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { MetricsPage } from '../../../services/cli/io/metrics-page.js';
import type { RoleState } from '../../../services/cli/io/roles.js';

/** A role as it tells of itself, without its process. */
export function roleState(
  name: NonNullable<RoleState['name']>,
  metrics: readonly string[] = [],
  more: Partial<RoleState> = {},
): RoleState {
  const address = `${name}:9464`;
  return {
    address,
    name,
    away: undefined,
    ready: true,
    checks: [],
    metrics: new MetricsPage(metrics.join('\n')),
    ...more,
  };
}

/**
 * A loopback address on which no other test listens: a port of 127.0.0.1 that is free now may be somebody's in a
 * moment.
 */
const UNUSED_HOST = '127.7.7.7';

/** An address at which nothing listens. */
export async function closedAddress(): Promise<string> {
  const server = createServer();
  server.listen(0, UNUSED_HOST);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return `${UNUSED_HOST}:${port}`;
}

/** Serves HTTP on a free port until the test ends. @returns host:port */
export async function serveHttp(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Serves /readyz and /metrics as a role does; `metrics` is asked each time. */
export function serveRole(
  t: TestContext,
  role: string,
  metrics: () => readonly string[] = () => [],
  checks: object = {},
): Promise<string> {
  return serveHttp(t, (request, response) => {
    if (request.url === '/readyz') return void response.end(JSON.stringify({ status: 'ready', checks }));
    response.end([`target_info{service_name="ssom-${role}"} 1`, ...metrics()].join('\n'));
  });
}

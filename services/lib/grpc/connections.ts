import type { Server as NetServer } from 'node:net';
import type { Server } from '@grpc/grpc-js';

interface Listeners {
  readonly http2Servers: ReadonlyMap<NetServer, { readonly sessions: ReadonlySet<unknown> }>;
}

/**
 * Bounds the connections of a server that listens; one more is closed as soon as it is made. grpc-js has no public way
 * to what it listens with, which are servers of Node's net.
 * @returns how many there are
 */
export function boundConnections(server: Server, max: number, onRefused: () => void): () => number {
  const { http2Servers } = server as unknown as Listeners;
  for (const listener of http2Servers.keys()) {
    listener.maxConnections = max;
    listener.on('drop', onRefused);
  }
  return () => [...http2Servers.values()].reduce((sum, { sessions }) => sum + sessions.size, 0);
}

import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { defer } from '../support/defer.js';

/**
 * Stands between a client and a server, and can become a black hole: bytes vanish both ways, nobody is told, and
 * connections are taken all the same, as by a firewall that forgot its state. What was open then stays dead.
 */
export class TcpProxy {
  readonly #server = createServer((client) => this.#accept(client));
  readonly #sockets = new Set<Socket>();
  #swallows = false;

  private constructor(private readonly target: { host: string; port: number }) {}

  static async listen(t: TestContext, target: { host: string; port: number }): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    defer(t, () => proxy.#close());
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  swallow(): void {
    this.#swallows = true;
    for (const socket of this.#sockets) socket.removeAllListeners('data').on('data', () => undefined);
  }

  /** New connections get through again. */
  forward(): void {
    this.#swallows = false;
  }

  /** Ends what is open, so that nobody waits for it any longer. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(client: Socket): void {
    this.#keep(client);
    if (this.#swallows) {
      client.on('data', () => undefined);
      return;
    }
    const server = this.#keep(connect(this.target));
    client.on('data', (bytes) => server.write(bytes));
    server.on('data', (bytes) => client.write(bytes));
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    // One side goes when it likes; the other one follows.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    return socket;
  }

  #close(): Promise<void> {
    this.cut();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

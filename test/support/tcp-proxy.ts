import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/**
 * A TCP proxy of 127.0.0.1 that does to connections what networks do. Each disturbance lasts until `heal()`, except
 * that broken connections stay broken.
 */
export class TcpProxy {
  readonly #pairs = new Set<Pair>();
  /** Clients whose other end is gone without a word. */
  readonly #halfOpen = new Set<Socket>();
  #refusing = false;
  #silent = false;
  #delayMs = 0;
  #accepted = 0;

  private constructor(
    private readonly server: Server,
    private readonly targets: readonly number[],
  ) {
    server.on('connection', (client) => this.#accept(client));
  }

  /**
   * @param target port on 127.0.0.1, which need not listen yet; several: a balancer, whose connections go to them in
   * turn
   */
  static async listen(target: number | readonly number[], port = 0): Promise<TcpProxy> {
    const server = createServer({ noDelay: true });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return new TcpProxy(server, [target].flat());
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#pairs.size;
  }

  #accept(client: Socket): void {
    client.on('error', () => undefined);
    if (this.#refusing) return void client.resetAndDestroy();
    const target = this.targets[this.#accepted++ % this.targets.length]!;
    const server = connect({ port: target, host: '127.0.0.1', noDelay: true });
    const pair = { client, server };
    this.#pairs.add(pair);
    this.#forward(client, server);
    this.#forward(server, client);
    if (this.#silent) this.#pause(pair);
    const end = () => {
      if (!this.#pairs.delete(pair)) return;
      client.destroy();
      server.destroy();
    };
    server.on('error', end);
    client.on('close', end);
    server.on('close', end);
  }

  #forward(from: Socket, to: Socket): void {
    // What is late, in its order: timers of their own would overtake each other when the delay ends.
    const late: { due: number; pass: () => void }[] = [];
    const passLate = () => {
      while (late.length > 0 && late[0]!.due <= performance.now()) late.shift()!.pass();
      if (late.length > 0) setTimeout(passLate, Math.max(1, late[0]!.due - performance.now()));
    };
    const send = (pass: () => void) => {
      if (late.length === 0 && this.#delayMs === 0) return pass();
      const due = Math.max(performance.now() + this.#delayMs, late.at(-1)?.due ?? 0);
      if (late.push({ due, pass }) === 1) setTimeout(passLate, due - performance.now());
    };
    from.on('data', (bytes: Buffer) => {
      send(() => {
        if (to.destroyed || to.writableEnded || to.write(bytes)) return;
        from.pause();
        to.once('drain', () => this.#silent || from.resume());
      });
    });
    from.on('end', () => send(() => to.end()));
  }

  #pause({ client, server }: Pair): void {
    client.pause();
    server.pause();
  }

  /** Breaks every connection once; new ones are forwarded. @returns how many */
  reset(): number {
    const pairs = [...this.#pairs];
    for (const { client } of pairs) client.resetAndDestroy();
    return pairs.length;
  }

  /** Breaks every connection and refuses new ones. */
  cut(): void {
    this.#refusing = true;
    this.reset();
  }

  /** Takes connections and bytes, and passes nothing on: packets that are lost. */
  silence(): void {
    this.#silent = true;
    for (const pair of this.#pairs) this.#pause(pair);
  }

  /**
   * Leaves every client with a connection whose other end is gone and has not said so, as after a crashed router: it
   * can find that out by waiting alone. New connections are forwarded.
   */
  halfOpen(): number {
    const pairs = [...this.#pairs];
    for (const pair of pairs) {
      this.#pairs.delete(pair);
      pair.client.removeAllListeners('data').resume();
      pair.server.destroy();
      this.#halfOpen.add(pair.client);
      pair.client.on('close', () => this.#halfOpen.delete(pair.client));
    }
    return pairs.length;
  }

  /** Ends one way of every connection, as a peer does that has no more to say; the other way stays open. */
  halfClose(towards: keyof Pair): void {
    for (const pair of this.#pairs) pair[towards].end();
  }

  /** Every byte, both ways, arrives so much later. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  heal(): void {
    this.#refusing = false;
    this.#delayMs = 0;
    if (!this.#silent) return;
    this.#silent = false;
    for (const { client, server } of this.#pairs) {
      client.resume();
      server.resume();
    }
  }

  close(): void {
    this.server.close();
    for (const { client } of [...this.#pairs]) client.destroy();
    for (const client of [...this.#halfOpen]) client.destroy();
  }
}

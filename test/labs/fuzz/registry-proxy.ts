import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Answer } from './answers.js';

const FUZZED = '/fuzzed';
const HONEST = '/honest';

/**
 * Stands in front of the real registry and passes everything on, except for schemas that exist here alone: for those it
 * gives the wrong answers that it was told to, and then the right one.
 */
export class RegistryProxy {
  readonly #schemas = new Map<number, { schema: string; wrong: Answer[] }>();

  private constructor(
    private readonly server: Server,
    private readonly real: string,
  ) {}

  static async start(real: string): Promise<RegistryProxy> {
    const server = createServer((request, response) => {
      void proxy.#answer(request, response).catch(() => response.destroy());
    });
    const proxy = new RegistryProxy(server, real);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  #base(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** For the service. */
  get url(): string {
    return this.#base() + FUZZED;
  }

  /** The same registry for whom it never lies to. */
  get honestUrl(): string {
    return this.#base() + HONEST;
  }

  /** A schema that comes after so many wrong answers. */
  add(id: number, schema: string, wrong: readonly Answer[]): void {
    this.#schemas.set(id, { schema, wrong: [...wrong] });
  }

  /** Wrong answers that nobody has asked for yet. */
  get unasked(): number {
    return [...this.#schemas.values()].reduce((sum, { wrong }) => sum + wrong.length, 0);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '/';
    const lies = url.startsWith(FUZZED);
    const path = url.slice((lies ? FUZZED : HONEST).length);
    const own = this.#schemas.get(Number(/^\/schemas\/ids\/(\d+)$/.exec(path)?.[1]));
    if (own === undefined) return this.#passOn(path, request, response);
    const wrong = lies ? own.wrong.shift() : undefined;
    if (wrong !== undefined) return wrong.give(response);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ schema: own.schema }));
  }

  async #passOn(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const answer = await fetch(this.real + path, {
      method: request.method ?? 'GET',
      headers: { 'content-type': 'application/json' },
      ...(pieces.length > 0 ? { body: Buffer.concat(pieces) } : {}),
    });
    const type = answer.headers.get('content-type') ?? 'application/json';
    response.writeHead(answer.status, { 'content-type': type }).end(await answer.text());
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

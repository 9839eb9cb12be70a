// What the roles send their spans to while it is measured: a collector that works, one that is away, and one that
// hangs.
import { once } from 'node:events';
import { createServer, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type Collector, freePorts, type Jaeger, startCollector, startJaeger } from '#stack';

export interface Hanging {
  readonly url: string;
  close(): Promise<void>;
}

/** Takes connections and requests, and never answers one. */
export async function startHanging(): Promise<Hanging> {
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => undefined);
    session.on('close', () => sessions.delete(session));
  });
  // Unread, a request stops at the window that HTTP/2 gives it.
  server.on('stream', (stream) => stream.on('error', () => undefined));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const session of sessions) session.destroy();
      }),
  };
}

/** Every place that spans are sent to in a run. */
export class Collectors {
  private constructor(
    private readonly jaeger: Jaeger,
    private readonly collector: Collector,
    private readonly hanging: Hanging,
    readonly urls: { readonly works: string; readonly down: string; readonly hangs: string },
  ) {}

  /** @param dir the stack's folder */
  static async start(dir: string): Promise<Collectors> {
    const jaeger = await startJaeger({ dir, killAtExit: true, ports: { query: 0, otlpGrpc: 0, otlpHttp: 0 } });
    const collector = await startCollector({
      dir,
      killAtExit: true,
      ports: { otlpGrpc: 0, otlpHttp: 0, metrics: 0 },
      exportTo: new URL(jaeger.otlpGrpcUrl).host,
    });
    const [[nobody], hanging] = await Promise.all([freePorts(1), startHanging()]);
    const urls = { works: collector.otlpGrpcUrl, down: `http://127.0.0.1:${nobody}`, hangs: hanging.url };
    return new Collectors(jaeger, collector, hanging, urls);
  }

  pids(): Map<string, number> {
    return new Map([
      ['collector', this.collector.pid],
      ['jaeger', this.jaeger.pid],
    ]);
  }

  async close(): Promise<void> {
    await this.hanging.close();
    await this.collector.stop();
    await this.jaeger.stop();
  }
}

import type { Socket } from 'node:net';
import type { Connection } from './behaviour.js';
import type { CollapseKeys, Counts, Received } from './control-types.js';
import { type Fields, section } from './message-form.js';

/** Of connections that ended, this many are remembered. */
const CONNECTIONS_KEPT = 1000;

/**
 * What the server has seen: each token's messages, at most `limit` in all (the oldest go first), and counts of
 * everything.
 */
export class Ledger {
  #order: Received[] = [];
  #byToken = new Map<string, Received[]>();
  #dropped = 0;
  #requests = 0;
  #accepted = 0;
  #validated = 0;
  #byStatus: Record<string, number> = {};
  #inHand = 0;
  #peak = 0;
  #opened = 0;
  readonly #connections = new Map<Socket, Connection>();
  #latest: Connection[] = [];

  constructor(
    private readonly limit: number,
    private readonly bodies: boolean,
  ) {}

  opened(socket: Socket): void {
    this.#opened += 1;
    const connection = { id: this.#opened, requests: 0, draws: new Map<number, boolean>() };
    this.#connections.set(socket, connection);
    this.#latest.push(connection);
    if (this.#latest.length > CONNECTIONS_KEPT) this.#latest.shift();
    socket.once('close', () => this.#connections.delete(socket));
  }

  /** A request to messages:send begins on this connection. */
  begins(socket: Socket): Connection {
    this.#requests += 1;
    this.#inHand += 1;
    this.#peak = Math.max(this.#peak, this.#inHand);
    const connection = this.#connections.get(socket)!;
    connection.requests += 1;
    return connection;
  }

  ends(): void {
    this.#inHand -= 1;
  }

  /** The answer's status, or 0 when there is none. */
  answered(status: number): void {
    const key = status === 0 ? 'cut' : String(status);
    this.#byStatus[key] = (this.#byStatus[key] ?? 0) + 1;
  }

  validated(): void {
    this.#validated += 1;
  }

  record(record: Omit<Received, 'at' | 'collapse' | 'message'>, message: Fields): void {
    if (record.accepted) this.#accepted += 1;
    if (this.limit === 0) return;
    const received = {
      ...record,
      at: Date.now(),
      collapse: collapseKeys(message),
      ...(this.bodies && { message }),
    };
    this.#order.push(received);
    const ofToken = this.#byToken.get(record.token);
    if (ofToken === undefined) this.#byToken.set(record.token, [received]);
    else ofToken.push(received);
    // In portions: taking one from the front of a long list moves all others.
    if (this.#order.length > this.limit * 1.1) this.#drop(this.#order.length - this.limit);
  }

  received(token: string | null): readonly Received[] {
    return token === null ? this.#order : (this.#byToken.get(token) ?? []);
  }

  counts(): Omit<Counts, 'grants'> {
    return {
      requests: this.#requests,
      accepted: this.#accepted,
      validated: this.#validated,
      byStatus: this.#byStatus,
      concurrent: { now: this.#inHand, peak: this.#peak },
      connections: {
        opened: this.#opened,
        open: this.#connections.size,
        requests: this.#latest.map(({ requests }) => requests),
      },
      records: { kept: this.#order.length, dropped: this.#dropped },
    };
  }

  /** Forgets everything but the connections that are open. */
  reset(): void {
    this.#order = [];
    this.#byToken.clear();
    this.#byStatus = {};
    this.#dropped = this.#requests = this.#accepted = this.#validated = 0;
    this.#peak = this.#inHand;
    this.#latest = [...this.#connections.values()];
    for (const connection of this.#latest) connection.requests = 0;
  }

  #drop(count: number): void {
    this.#dropped += count;
    for (const { token } of this.#order.splice(0, count)) {
      const ofToken = this.#byToken.get(token)!;
      ofToken.shift();
      if (ofToken.length === 0) this.#byToken.delete(token);
    }
  }
}

function collapseKeys(message: Fields): CollapseKeys {
  const android = section(message, 'android');
  const webpush = section(message, 'webpush');
  const keys: Record<keyof CollapseKeys, unknown> = {
    collapseKey: android['collapse_key'],
    androidTag: section(android, 'notification')['tag'],
    apnsCollapseId: section(section(message, 'apns'), 'headers')['apns-collapse-id'],
    webpushTopic: section(webpush, 'headers')['Topic'],
    webpushTag: section(webpush, 'notification')['tag'],
  };
  return Object.fromEntries(Object.entries(keys).filter(([, value]) => typeof value === 'string'));
}

// The clients of the herd: each holds a stream, and when it breaks opens another one elsewhere, from its last token.
import { api } from '../../../services/api/protos.js';
import { backoffMs } from '../../../services/lib/retry.js';
import { serve } from '../frame/worker.js';
import { Connections, openStream } from './raw-stream.js';

const { responseDeserialize } = api.AlertStreamService.service.StreamAlerts;
const OPENING = 200;
/** As services/client waits between tries. */
const BACKOFF = { baseMs: 500, capMs: 15_000 } as const;

let connections: Connections;
/** Where everybody goes, once their stream has broken. */
let elsewhere: Connections | undefined;
/** Up to which number a client has caught up. */
let wanted = Infinity;
let tries = 0;
/** When each client had everything again and was told that it is live, by CLOCK_MONOTONIC. */
const liveAt: bigint[] = [];
const problems: string[] = [];

class Client {
  #sequence = 0;
  #token = '';
  #failures = 0;
  #back = false;

  constructor(readonly userId: string) {}

  /** Resolves with the first response. */
  open(): Promise<void> {
    return new Promise((resolve) => this.#open(resolve));
  }

  #open(opened: () => void): void {
    const from = elsewhere ?? connections;
    if (from === elsewhere) tries += 1;
    const request = { start: 'STREAM_START_NOW' as const, resumeToken: this.#token };
    openStream(from.next(), this.userId, request, {
      response: (message) => {
        this.#take(message);
        opened();
      },
      ended: () => this.#lost(opened),
    });
  }

  #take(message: Buffer): void {
    this.#failures = 0;
    const { changes, resumeToken, behind } = responseDeserialize(message);
    for (const { sequence } of changes) {
      if (sequence !== this.#sequence + 1) problems.push(`${this.userId}: ${sequence} came behind ${this.#sequence}`);
      this.#sequence = sequence;
    }
    this.#token = resumeToken;
    if (this.#back || behind > 0 || this.#sequence < wanted) return;
    this.#back = true;
    liveAt.push(process.hrtime.bigint());
  }

  /** The first try is made at once: worse than clients of services/client do to a gateway. */
  #lost(opened: () => void): void {
    const waitMs = this.#failures === 0 ? 0 : backoffMs(this.#failures, BACKOFF.baseMs, BACKOFF.capMs);
    this.#failures += 1;
    if (waitMs === 0) this.#open(opened);
    else setTimeout(() => this.#open(opened), waitMs);
  }
}

const commands = {
  async open(options: { address: string; perConnection: number; users: readonly string[] }): Promise<void> {
    connections = new Connections(options.address, options.perConnection);
    const clients = options.users.map((userId) => new Client(userId));
    for (let from = 0; from < clients.length; from += OPENING)
      await Promise.all(clients.slice(from, from + OPENING).map((client) => client.open()));
  },

  /** From now on a stream that breaks is opened there, and its client is back when it has seen this number. */
  expect(options: { address: string; perConnection: number; sequence: number }): void {
    elsewhere = new Connections(options.address, options.perConnection);
    wanted = options.sequence;
  },

  progress: (_: undefined) => ({ back: liveAt.length, tries, problems: problems.slice(0, 10) }),

  /** When each client was live again, by CLOCK_MONOTONIC. */
  liveAt: (_: undefined): string[] => liveAt.map(String),
};
export type HerdCommands = typeof commands;

serve(commands);

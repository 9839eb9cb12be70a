import { setTimeout as sleep } from 'node:timers/promises';
import type { AlertClient } from '../../../services/client/client.js';
import type { AlertClientError } from '../../../services/client/errors.js';
import type { InboxChange__Output } from '../../../services/gen/types.js';
import type { Findings } from './findings.js';

export interface FoldedStreamOptions {
  readonly userId: string;
  readonly name: string;
  /** One for each gateway; it goes to the next when it loses one. */
  readonly clients: readonly AlertClient[];
  readonly findings: Findings;
  /** Called once for each alert, with its title. */
  readonly onAlert?: (alertId: number, title: string) => void;
  /** The user may be made inactive for a while: its stream ends then, and may be opened again later. */
  readonly mayBeInactive?: boolean;
  /** Whether resume tokens may have expired: the stream begins anew then, as an application would. */
  readonly mayExpire?: () => boolean;
}

const RETRY_MS = 200;

/** One user's stream from the beginning of the inbox, folded as the design says, over whatever gateway answers. */
export class FoldedStream {
  /** Alerts that the inbox has, by whether they are read. */
  readonly fold = new Map<number, boolean>();
  /** Every alert that was ever shown. */
  readonly seen = new Set<number>();
  /** Those that were shown since the stream began, or began anew. */
  readonly #shown = new Set<number>();
  unreadCount = 0;
  losses = 0;
  live = false;
  #lastSequence = 0;
  #resumeToken = '';
  #next: number;
  #closed = false;
  #connection = new AbortController();
  readonly #done: Promise<void>;

  constructor(private readonly options: FoldedStreamOptions) {
    // Neighbours begin at different gateways.
    this.#next = Array.from(options.name).reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
    this.#done = this.#run();
  }

  get userId(): string {
    return this.options.userId;
  }

  get name(): string {
    return this.options.name;
  }

  /** Leaves the gateway, to resume from another. */
  drop(): void {
    this.#connection.abort();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#connection.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      const refused = await this.#follow();
      this.live = false;
      this.losses += 1;
      if (!this.#closed) await sleep(refused ? RETRY_MS * 2 : RETRY_MS);
    }
  }

  /** One connection. @returns whether it was refused rather than lost */
  async #follow(): Promise<boolean> {
    const { clients, userId, findings, name, mayBeInactive = false } = this.options;
    this.#connection = new AbortController();
    const client = clients[this.#next++ % clients.length]!;
    try {
      const stream = client.streamAlerts({
        start: 'beginning',
        resumeToken: this.#resumeToken,
        checkpointIntervalMs: 1000,
        reconnect: false,
        signal: this.#connection.signal,
        onEvent: ({ type }) => {
          this.live ||= type === 'live';
          if (type === 'expired') this.#beginAnew();
        },
      });
      for await (const { changes, resumeToken, unreadCount } of stream) {
        for (const change of changes) this.#take(change);
        this.#resumeToken = resumeToken;
        this.unreadCount = unreadCount;
      }
      return false;
    } catch (error) {
      const { code, reason, message, canRetry } = error as AlertClientError;
      const inactive = mayBeInactive && reason === 'USER_INACTIVE';
      const broken = canRetry || code === 'CANCELLED' || (code === 'INTERNAL' && message.includes('RST_STREAM'));
      if (!inactive && !broken)
        findings.add('refused', `the stream of ${name} (${userId}): ${code} ${reason} ${message}`);
      return !broken;
    }
  }

  /** The client begins again by itself, with the whole inbox. */
  #beginAnew(): void {
    const { findings, name, mayExpire = () => false } = this.options;
    if (!mayExpire()) findings.add('refused', `the resume token of ${name} has expired`);
    this.#resumeToken = '';
    this.#lastSequence = 0;
    this.fold.clear();
    this.#shown.clear();
  }

  #take({ type, sequence, alert, isRead }: InboxChange__Output): void {
    const { findings, name, onAlert } = this.options;
    if (sequence <= this.#lastSequence)
      findings.add('wrong order', `${name}: number ${sequence} after ${this.#lastSequence}`);
    this.#lastSequence = sequence;
    const { alertId, title } = alert!;
    const isShown = this.#shown.has(alertId);
    this.#shown.add(alertId);
    if (type === 'INBOX_CHANGE_TYPE_DELETED') {
      this.fold.delete(alertId);
      this.seen.add(alertId);
      return;
    }
    if (type === 'INBOX_CHANGE_TYPE_CREATED' && isShown)
      findings.add('doubled', `${name}: alert ${alertId} was shown as new a second time`);
    this.fold.set(alertId, isRead);
    if (this.seen.has(alertId)) return;
    this.seen.add(alertId);
    onAlert?.(alertId, title);
  }
}

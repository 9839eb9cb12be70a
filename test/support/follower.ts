import assert from 'node:assert/strict';
import type { AlertClient } from '../../services/client/client.js';
import { oneTo, sorted } from './expected.js';
import { until } from './until-true.js';

/** A user's stream from the beginning of the inbox, across lost connections, with all that came over it. */
export class Follower {
  readonly sequences: number[] = [];
  /** Folded: alert by whether it is read. */
  readonly inbox = new Map<number, boolean>();
  unreadCount = 0;
  losses = 0;
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;
  readonly #live: Promise<void>;

  constructor(
    client: AlertClient,
    readonly userId: string,
    readonly name = userId,
  ) {
    let live!: () => void;
    this.#live = new Promise((resolve) => (live = resolve));
    const stream = client.streamAlerts({
      userId,
      start: 'beginning',
      checkpointIntervalMs: 1000,
      reconnect: { baseMs: 100, capMs: 500 },
      signal: this.#abort.signal,
      onEvent: ({ type }) => {
        if (type === 'live') live();
        if (type === 'lost') this.losses += 1;
      },
    });
    this.#done = this.#follow(stream);
  }

  async #follow(stream: ReturnType<AlertClient['streamAlerts']>): Promise<void> {
    for await (const { changes, unreadCount } of stream) {
      for (const { type, sequence, alert, isRead } of changes) {
        this.sequences.push(sequence);
        if (type === 'INBOX_CHANGE_TYPE_DELETED') continue;
        this.inbox.set(alert!.alertId, isRead);
      }
      this.unreadCount = unreadCount;
    }
  }

  /** Resolves when it has caught up for the first time. */
  async live(): Promise<this> {
    await Promise.race([this.#live, this.#done]);
    return this;
  }

  /** Waits until it has seen the number, and says if more came than that. */
  async seen(sequence: number): Promise<void> {
    await until(
      () => `the stream ${this.name} sees number ${sequence}; last ${this.sequences.at(-1)}, ${this.losses} losses`,
      () => (this.sequences.at(-1) ?? 0) >= sequence,
    );
  }

  /** It saw the numbers 1 to n in order, each once, and folds to the alerts that the inbox is to have. */
  check(wanted: readonly number[]): void {
    assert.deepEqual(this.sequences, oneTo(wanted.length), `numbers of the stream ${this.name}`);
    assert.deepEqual(sorted([...this.inbox.keys()]), wanted, `alerts of the stream ${this.name}`);
    assert.equal(this.unreadCount, wanted.length, `unread count of the stream ${this.name}`);
  }

  /** @throws what ended it before */
  async close(): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }
}

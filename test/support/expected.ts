import assert from 'node:assert/strict';
import type { AlertClient } from '../../services/client/client.js';
import { inboxOf } from './people.js';
import { until } from './until-true.js';

/** Who is to have which alerts, by what was acknowledged. */
export class Expected {
  readonly #alerts = new Map<string, Set<number>>();

  constructor(users: readonly { userId: string }[]) {
    for (const { userId } of users) this.#alerts.set(userId, new Set());
  }

  get users(): string[] {
    return [...this.#alerts.keys()];
  }

  add(alertId: number, userIds: readonly string[]): void {
    for (const userId of userIds) this.#alerts.get(userId)!.add(alertId);
  }

  of(userId: string): number[] {
    return [...this.#alerts.get(userId)!].sort((a, b) => a - b);
  }

  /** Waits until nobody lacks anything. */
  async arrived(client: AlertClient, timeoutMs?: number): Promise<void> {
    for (const userId of this.users) {
      const complete = async () => {
        const has = new Set((await inboxOf(client, userId)).map(({ alert }) => alert!.alertId));
        return this.of(userId).every((alertId) => has.has(alertId));
      };
      await until(`the inbox of ${userId} has ${this.of(userId).length} alerts`, complete, timeoutMs);
    }
  }

  /**
   * Every inbox has what it is to have, each alert once, numbered 1 to n: a second delivery would have taken a number.
   * For inboxes in which nothing was read or deleted.
   */
  async checkInboxes(client: AlertClient): Promise<void> {
    for (const userId of this.users) {
      const entries = await inboxOf(client, userId);
      const wanted = this.of(userId);
      assert.deepEqual(sorted(entries.map(({ alert }) => alert!.alertId)), wanted, `the inbox of ${userId}`);
      assert.deepEqual(sorted(entries.map(({ sequence }) => sequence)), oneTo(wanted.length), `numbers of ${userId}`);
      assert.equal((await client.getUnreadCount({ userId })).unreadCount, wanted.length, `unread count of ${userId}`);
    }
  }
}

export const sorted = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b);
export const oneTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

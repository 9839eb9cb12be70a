import { setTimeout as sleep } from 'node:timers/promises';
import type { AlertClient } from '../../../services/client/client.js';
import type { CreateAlertRequest } from '../../../services/gen/types.js';
import type { Random } from '../../support/random.js';
import type { KnownAlert } from '../../support/stream-record.js';

const KINDS = ['ALERT_KIND_GRAFANA', 'ALERT_KIND_ISSUE', 'ALERT_KIND_JENKINS', 'ALERT_KIND_DEPLOYMENT'] as const;
const LEVELS = ['ALERT_LEVEL_INFO', 'ALERT_LEVEL_WARNING', 'ALERT_LEVEL_ERROR', 'ALERT_LEVEL_CRITICAL'] as const;
const RECENT = 40;

/** Alerts for everybody, and what everybody does with them. The client must reach the service undisturbed. */
export class Traffic {
  /** Every acknowledged alert. */
  readonly alerts = new Map<number, KnownAlert>();
  /** Changes of read state and deletions that were answered. */
  changes = 0;
  readonly #inboxes: ReadonlyMap<string, number[]>;

  constructor(
    private readonly client: AlertClient,
    people: readonly string[],
    private readonly random: Random,
  ) {
    this.#inboxes = new Map(people.map((userId) => [userId, []]));
  }

  /** The alerts that were acknowledged for somebody. */
  of(userId: string): readonly number[] {
    return this.#inboxes.get(userId)!;
  }

  async run(stopping: () => boolean): Promise<void> {
    await Promise.all([
      this.#create(stopping),
      ...[...this.#inboxes.keys()].map((userId) => this.#change(userId, this.random.fork(), stopping)),
    ]);
  }

  async #create(stopping: () => boolean): Promise<void> {
    const people = [...this.#inboxes.keys()];
    while (!stopping()) {
      const requests = Array.from({ length: this.random.int(1, 6) }, () => this.#request(people));
      const { results } = await this.client.batchCreateAlerts({ requests });
      for (const [index, { response }] of results.entries()) {
        const { alertId } = response!.alert!;
        const { kind, level, recipients } = requests[index]!;
        this.alerts.set(alertId, { kind, level });
        for (const userId of recipients.userIds) this.#inboxes.get(userId)!.push(alertId);
      }
      await sleep(this.random.int(20, 200));
    }
  }

  #request(people: readonly string[]) {
    const { random } = this;
    const userIds = [...new Set(Array.from({ length: random.int(1, 3) }, () => random.pick(people)))];
    const request = {
      kind: random.pick(KINDS),
      level: random.pick(LEVELS),
      appName: 'ssok-transfer',
      title: '이체 지연',
      // Some are so large that a page of them is several responses.
      message: 'x'.repeat(random.chance(0.1) ? 16_000 : random.int(0, 300)),
      recipients: { userIds },
    };
    return request satisfies CreateAlertRequest;
  }

  async #change(userId: string, random: Random, stopping: () => boolean): Promise<void> {
    while (!stopping()) {
      await sleep(random.int(20, 250));
      const recent = this.of(userId).slice(-RECENT);
      if (recent.length === 0) continue;
      const alertIds = [...new Set(Array.from({ length: random.int(1, 6) }, () => random.pick(recent)))];
      const draw = random.next();
      if (draw < 0.5) await this.client.markRead({ userId, alertIds });
      else if (draw < 0.75) await this.client.markUnread({ userId, alertIds });
      else if (draw < 0.92) await this.client.deleteFromInbox({ userId, alertIds });
      else await this.client.markAllRead({ userId });
      this.changes += 1;
    }
  }
}

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import type { AlertClient, createClient } from '../../../services/client/client.js';

export interface ClientOptions {
  readonly address: string;
  readonly streamAddress: string;
  /** Nobody had it before. */
  readonly userId: string;
}

/** How long a stream may take to show what is awaited of it. */
const STREAM_MS = 20_000;

/**
 * What callers do with the client's package of either release: create, in a batch too, repeat, stream, resume, list,
 * mark as read. All of it is about one user of its own.
 * @param module the package's main file
 */
export async function tryClient(module: string, { address, streamAddress, userId }: ClientOptions): Promise<void> {
  const { createClient: connect } = createRequire(import.meta.url)(module) as { createClient: typeof createClient };
  const service = connect({ address, streamAddress, identity: { caller: userId } });
  const user = connect({ address, streamAddress, identity: { userId } });
  try {
    await service.upsertUsers({ users: [{ userId, displayName: userId, department: 'PAYROLL', active: true }] });
    const alert = (title: string) => ({
      requestId: title,
      kind: 'ALERT_KIND_JENKINS' as const,
      level: 'ALERT_LEVEL_WARNING' as const,
      appName: 'ssok-transfer',
      title,
      labels: { branch: 'main' },
      recipients: { userIds: [userId] },
    });
    const first = await service.createAlert(alert('one'));
    const again = await service.createAlert(alert('one'));
    assert.ok(
      again.replayed && again.alert!.alertId === first.alert!.alertId,
      'a repeated request made a second alert',
    );
    const { results } = await service.batchCreateAlerts({ requests: [alert('two'), alert('three')] });
    assert.equal(results.length, 2);
    const begun = await shown(user, { start: 'beginning' }, 3);
    assert.deepEqual(begun.titles.sort(), ['one', 'three', 'two']);

    await Promise.all(['four', 'five'].map((title) => service.createAlert(alert(title), { batch: true })));
    const resumed = await shown(user, { resumeToken: begun.token }, 2);
    assert.deepEqual(resumed.titles.sort(), ['five', 'four']);

    const { entries } = await user.listInbox({ unreadOnly: true, pageSize: 500 });
    assert.equal(entries.length, 5);
    assert.deepEqual(entries.find((entry) => entry.alert!.title === 'one')?.alert, first.alert);
    await user.markRead({ alertIds: [first.alert!.alertId] });
    assert.equal((await user.getUnreadCount({})).unreadCount, 4);
    const { alerts } = await service.listAlerts({ pageSize: 10 });
    assert.ok(alerts.length > 0, 'ListAlerts shows nothing');
    const got = await service.getAlert({ alertId: first.alert!.alertId });
    assert.equal(got.alert!.title, 'one');
  } finally {
    service.close();
    user.close();
  }
}

/** Streams until so many alerts were shown. */
async function shown(
  client: AlertClient,
  from: { start: 'beginning' } | { resumeToken: string },
  count: number,
): Promise<{ titles: string[]; token: string }> {
  const titles: string[] = [];
  for await (const { changes, resumeToken } of client.streamAlerts({
    ...from,
    signal: AbortSignal.timeout(STREAM_MS),
  })) {
    titles.push(...changes.map((change) => change.alert!.title));
    if (titles.length >= count) return { titles, token: resumeToken };
  }
  throw new Error(`in ${STREAM_MS / 1000} s a stream showed ${titles.length} of ${count} alerts: ${titles.join(', ')}`);
}

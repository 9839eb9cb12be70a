// People with inboxes, and what a calling service asks on their behalf.
import { type AlertClient, createClient } from '../../services/client/client.js';
import type { InboxEntry__Output } from '../../services/gen/types.js';
import type { CreateAlertRequest } from './alerts.js';
import type { RoleProcess } from './role-process.js';

export const SERVICE = { caller: 'real-stack-test' };

/** A client that is a calling service, with all scopes. */
export async function serviceClient(alertApi: RoleProcess, gateway?: RoleProcess): Promise<AlertClient> {
  const { grpc: address } = await alertApi.listening();
  return createClient({
    address,
    identity: SERVICE,
    ...(gateway === undefined ? {} : { streamAddress: (await gateway.listening()).grpc }),
  });
}

export interface Person {
  readonly userId: string;
  readonly department: string;
}

/** `count` people of a department, as `${prefix}-1` and so on. */
export function people(prefix: string, count: number, department: string): Person[] {
  return Array.from({ length: count }, (_, index) => ({ userId: `${prefix}-${index + 1}`, department }));
}

export async function loadDirectory(client: AlertClient, users: readonly Person[]): Promise<void> {
  for (let from = 0; from < users.length; from += 500) {
    await client.upsertUsers({
      users: users.slice(from, from + 500).map(({ userId, department }) => ({ userId, department, active: true })),
    });
  }
}

/** An alert that names its recipients, unless `more` says otherwise. */
export function alertFor(userIds: readonly string[], title: string, more: CreateAlertRequest = {}): CreateAlertRequest {
  return {
    kind: 'ALERT_KIND_GRAFANA',
    appName: 'ssok-transfer',
    level: 'ALERT_LEVEL_WARNING',
    title,
    message: `${title} 이체 지연 🚨`,
    recipients: { userIds: [...userIds] },
    ...more,
  };
}

/** All of a user's inbox, the newest first. */
export async function inboxOf(client: AlertClient, userId: string): Promise<InboxEntry__Output[]> {
  const entries: InboxEntry__Output[] = [];
  let pageToken = '';
  do {
    const page = await client.listInbox({ userId, pageSize: 500, pageToken });
    entries.push(...page.entries);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return entries;
}

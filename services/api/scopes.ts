import { AlertError } from '../domain/errors.js';
import type { Identity } from '../lib/grpc/identity.js';
import { api } from './protos.js';

export const SCOPES = ['alerts:create', 'alerts:read', 'inbox', 'directory:admin', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** What each method asks of its caller: one of these. deploy/SECURITY.md has the same table, made of this one. */
export const METHOD_SCOPES: Readonly<Record<string, readonly Scope[]>> = {
  'AlertService/CreateAlert': ['alerts:create'],
  'AlertService/BatchCreateAlerts': ['alerts:create'],
  // With `inbox` alone what is in one's own inbox.
  'AlertService/GetAlert': ['alerts:read', 'inbox'],
  'AlertService/ListAlerts': ['alerts:read'],
  // One's own; another's with `admin` as well (inboxOwner).
  'AlertStreamService/StreamAlerts': ['inbox'],
  'InboxService/ListInbox': ['inbox'],
  'InboxService/MarkRead': ['inbox'],
  'InboxService/MarkUnread': ['inbox'],
  'InboxService/MarkAllRead': ['inbox'],
  'InboxService/DeleteFromInbox': ['inbox'],
  'InboxService/GetUnreadCount': ['inbox'],
  'DeviceService/RegisterDevice': ['inbox'],
  'DeviceService/UnregisterDevice': ['inbox'],
  'DeviceService/ListDevices': ['inbox'],
  'DirectoryService/UpsertUsers': ['directory:admin'],
  'DirectoryService/ListUsers': ['directory:admin'],
  'DirectoryService/SetRoutingRules': ['directory:admin'],
  'DirectoryService/GetRoutingRules': ['directory:admin'],
};

const PACKAGE = '/ssom.alert.v1.';

/**
 * @param path such as `/ssom.alert.v1.AlertService/CreateAlert`
 * @throws Error for a method of ours without a line above: it must not be served
 */
export function scopesOf(path: string): readonly Scope[] {
  const scopes = METHOD_SCOPES[path.slice(PACKAGE.length)];
  if (!path.startsWith(PACKAGE) || scopes === undefined)
    throw new Error(`${path} has no line in METHOD_SCOPES (services/api/scopes.ts)`);
  return scopes;
}

/** The paths of all methods of ours. */
export function methodPaths(): string[] {
  return Object.values(api)
    .filter((member) => 'service' in member)
    .flatMap(({ service }) => Object.values(service as object as Record<string, { path: string }>))
    .map(({ path }) => path);
}

export function hasScope(identity: Identity, scope: Scope): boolean {
  return identity.scopes.has(scope);
}

/** @throws AlertError PERMISSION_DENIED (SCOPE_MISSING) without any of them */
export function requireOneOf(identity: Identity, scopes: readonly Scope[]): void {
  if (scopes.some((scope) => hasScope(identity, scope))) return;
  const names = scopes.join(' or ');
  throw new AlertError(
    'PERMISSION_DENIED',
    'SCOPE_MISSING',
    `this call needs the scope ${names}, which ${identity.kind} '${identity.subject}' does not have`,
    { metadata: { scope: scopes[0]! } },
  );
}

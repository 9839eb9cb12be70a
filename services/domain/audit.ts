/** What is accounted for, each with what it is. Released words: a stored entry keeps its own. */
export const AUDIT_ACTIONS = {
  'directory.users': 'users were added or changed',
  'directory.rules': 'the routing rules were replaced',
  'inbox.read': "another's inbox was read",
  'inbox.read-marked': "entries of another's inbox were marked as read",
  'inbox.unread-marked': "entries of another's inbox were marked as unread",
  'inbox.deleted': "entries of another's inbox were deleted",
  'stream.opened': "a stream of another's inbox was opened",
  'devices.read': "another's devices were listed",
  'device.registered': 'a device was registered, moved to another user, or renewed by an admin',
  'device.unregistered': 'a device was removed',
  'dead-letters.redrive': 'dead letters are sent back to their topics',
  'dead-letters.purge': 'dead letters were given up for good',
  'reconcile.request': 'alerts are to be looked at again',
  'epoch.renew': 'a new epoch was begun',
  'call.refused': 'calls were refused, as often as the details say',
  'connection.refused': 'connections were refused in their TLS handshake, as often as the details say',
  'audit.removed': 'entries of this account were removed because of their age',
} as const;
export type AuditAction = keyof typeof AUDIT_ACTIONS;

/**
 * `begun` stands before what no transaction covers, and is followed by `done` when it has succeeded; alone it says that
 * nobody knows.
 */
export const AUDIT_OUTCOMES = ['begun', 'done', 'refused'] as const;
export type AuditOutcome = (typeof AUDIT_OUTCOMES)[number];

/** Who did something, and how that is known. */
export interface AuditActor {
  /** An operator has used the command line on the database itself; the service is `system`. */
  readonly kind: 'user' | 'service' | 'operator' | 'system' | 'unknown';
  readonly subject: string;
  /** By what it was proven, such as `jwt iss=… jti=…`; no secret. */
  readonly credential: string;
  /** From where: an address, or the name of a machine. */
  readonly peer: string;
  /** As the caller gave it; empty: it did not. */
  readonly requestId: string;
  readonly traceId: string;
}

type Detail = string | number | readonly (string | number)[];
/** Numbers and names, never what an alert says, and no secret. */
export type AuditDetails = Readonly<Record<string, Detail | Readonly<Record<string, Detail>>>>;

/** What somebody did, or was refused. */
export interface AuditEntry {
  readonly actor: AuditActor;
  readonly action: AuditAction;
  /** The user, method or the like that it was done to; empty: the whole. */
  readonly object: string;
  readonly outcome: AuditOutcome;
  /** Why it was refused. */
  readonly reason: string;
  readonly details: AuditDetails;
}

/** What the service does by itself. */
export const SYSTEM: AuditActor = {
  kind: 'system',
  subject: 'ssom-alert',
  credential: '',
  peer: '',
  requestId: '',
  traceId: '',
};

/** Characters of the names that one entry lists. */
const LISTED_MAX = 4000;

/** The first of many names or numbers, as many as an entry has room for. */
export function firstOf<T extends string | number>(all: readonly T[]): T[] {
  let room = LISTED_MAX;
  return all.filter((each) => (room -= String(each).length + 1) >= 0);
}

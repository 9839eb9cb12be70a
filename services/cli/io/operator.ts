import { hostname, userInfo } from 'node:os';
import type { AuditActor } from '../../domain/audit.js';

/** To whom what is done from here is accounted. The entry has the user of the database besides. */
export function operator(): AuditActor {
  return {
    kind: 'operator',
    subject: userName(),
    credential: 'command line',
    peer: hostname(),
    requestId: '',
    traceId: '',
  };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run as a number that has no name.
    return `uid ${process.getuid?.() ?? '?'}`;
  }
}

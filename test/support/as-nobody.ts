import type { SpawnOptions } from 'node:child_process';

/** Root may read every file, whatever its mode. */
const isRoot = process.geteuid!() === 0;
/** `nobody`, on Debian and Alpine; any user will do who owns nothing. */
const NOBODY = 65_534;

/** For a process that may read only what its user may. */
export const unprivileged: Pick<SpawnOptions, 'uid' | 'gid'> = isRoot ? { uid: NOBODY, gid: NOBODY } : {};

/** Does something as a user who may read only what its mode lets it; nothing else may run meanwhile. */
export function asNobody<T>(act: () => T): T {
  if (!isRoot) return act();
  process.seteuid!(NOBODY);
  try {
    return act();
  } finally {
    process.seteuid!(0);
  }
}

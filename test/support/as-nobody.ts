/** Root may read every file, whatever its mode. */
const isRoot = process.geteuid!() === 0;
/** `nobody`, on Debian and Alpine; any user will do who owns nothing. */
const NOBODY = 65_534;

/** Makes a process of Node's one that may read only what its user may. Node itself may be where only root comes. */
export const unprivileged: readonly string[] = isRoot
  ? ['--import', `data:text/javascript,process.setgid(${NOBODY});process.setuid(${NOBODY})`]
  : [];

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

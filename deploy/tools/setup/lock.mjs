// One set-up at a time in a checkout. The lock is a file with its owner's process id; a dead owner's lock is taken
// over, and what the dead owner left running (an `npm ci` outlives a kill -9 of its parent) is ended first.
import { linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { killGroup, localFile, readJson, same, watchChildren, writeJson } from './common.mjs';

/** @typedef {{ pid: number, started: string }} Identity of a process: ids are reused, start times with them are not */
/** @typedef {{ owner: Identity, child?: Identity }} Holder */

/** @param {number} pid @returns {Identity} */
function identity(pid) {
  try {
    // Field 22 of stat: the start time in clock ticks after boot. Counted from the last ')', as field 2 is free text.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return { pid, started: stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '' };
  } catch {
    return { pid, started: '' }; // not Linux: the id alone must do
  }
}

/** @param {Identity} who */
function alive(who) {
  try {
    process.kill(who.pid, 0);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ESRCH') return false; // EPERM: another user's, alive
  }
  return same(identity(who.pid), who);
}

/**
 * Waits until this process holds the lock.
 *
 * @returns {Promise<() => void>} gives it back
 */
export async function takeLock() {
  const file = localFile('setup.lock');
  const mine = `${file}.${process.pid}`;
  const owner = identity(process.pid);
  let told = false;
  for (;;) {
    writeFileSync(mine, JSON.stringify({ owner }));
    try {
      linkSync(mine, file); // fails when the file exists; never shows a file without its content
      break;
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
    } finally {
      rmSync(mine, { force: true });
    }
    /** @type {Holder | undefined} */
    const holder = readJson(file);
    if (holder !== undefined && !alive(holder.owner)) {
      takeOver(file, holder);
      continue;
    }
    if (holder === undefined) {
      // Given back this moment, or emptied by a machine that lost its power.
      if (statSync(file, { throwIfNoEntry: false })?.size === 0) rmSync(file, { force: true });
    } else if (!told) {
      process.stdout.write(`set-up: waiting for another one in this checkout (process ${holder.owner.pid})\n`);
      told = true;
    }
    await sleep(200);
  }
  watchChildren((child) => writeJson(file, child === undefined ? { owner } : { owner, child: identity(child.pid) }));
  return () => {
    watchChildren(() => {});
    rmSync(file, { force: true });
  };
}

/** @param {string} file @param {Holder} dead */
function takeOver(file, dead) {
  const aside = `${file}.${process.pid}.dead`;
  try {
    renameSync(file, aside);
  } catch {
    return; // somebody else was faster
  }
  if (!same(readJson(aside)?.owner, dead.owner)) {
    // Between our look and our rename somebody else took the lock over: theirs goes back.
    try {
      linkSync(aside, file);
    } catch {
      // A third one holds it already.
    }
  } else if (dead.child !== undefined && alive(dead.child)) {
    killGroup(dead.child.pid, 'SIGKILL');
  }
  rmSync(aside, { force: true });
}

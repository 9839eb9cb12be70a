import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What must not outlive this process, even if it ends in the middle of a test. */
const lastResort = new Set<() => void>();

process.on('exit', () => {
  // The newest first: a server is killed by the number in its folder, so before the folder goes.
  for (const clean of [...lastResort].reverse()) {
    try {
      clean();
    } catch {
      // The others still have their turn.
    }
  }
});

/** Runs `clean` (synchronously) when this process ends, unless it is taken back by calling what is returned. */
export function atExit(clean: () => void): () => void {
  lastResort.add(clean);
  return () => lastResort.delete(clean);
}

/** A folder in the temporary folder; `remove` deletes it, and so does the end of the process. */
export function temporaryFolder(prefix = 'ssom-test-'): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), prefix));
  const remove = () => rmSync(path, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 });
  const takeBack = atExit(remove);
  return {
    path,
    remove: () => {
      takeBack();
      remove();
    },
  };
}

/** Kills the embedded PostgreSQL of a data folder, if one runs: for tests whose process was killed before it could. */
export function killPostgresOf(dataDir: string): void {
  try {
    const pid = Number(readFileSync(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0]);
    if (pid > 0 && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(dataDir)) process.kill(pid, 'SIGQUIT');
  } catch {
    // It is not there any more.
  }
}

import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Where a stream keeps its place, so that another process can go on behind it. */
export interface TokenStore {
  /** The last token that was saved; undefined if there is none. */
  load(): Promise<string | undefined>;
  /** Keeps a token in place of the one before; undefined removes it. Never called twice at once. */
  save(token: string | undefined): Promise<void>;
}

/**
 * A token store in a file, of one stream of one user. The file is replaced as a whole: after a crash it holds the old
 * token or the new one.
 */
export function fileTokenStore(file: string): TokenStore {
  return {
    async load() {
      try {
        const token = (await readFile(file, 'utf8')).trim();
        return token === '' ? undefined : token;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    },
    async save(token) {
      if (token === undefined) return rm(file, { force: true });
      await mkdir(dirname(file), { recursive: true });
      const unfinished = `${file}.${process.pid}.tmp`;
      await writeFile(unfinished, `${token}\n`, { mode: 0o600 });
      await rename(unfinished, file);
    },
  };
}

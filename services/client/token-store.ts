import { readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder } from '../lib/make-folder.js';

/** Where a stream keeps its place, so that another process can go on behind it. What it throws ends the iteration. */
export interface TokenStore {
  /** What errors call it; a file store's is its file. */
  readonly name?: string;
  /** The last token that was saved; undefined if there is none. */
  load(): Promise<string | undefined>;
  /** Keeps a token in place of the one before. Never called twice at once. */
  save(token: string): Promise<void>;
}

/** Longer than any token, and nothing that could not travel. */
const TOKEN = /^[\x21-\x7e]{1,1024}$/;

/**
 * A token store in a file, of one stream of one user; to begin anew, remove the file. It is replaced as a whole, and is
 * on the disk before `save` returns: after a crash it holds the old token or the new one.
 */
export function fileTokenStore(file: string): TokenStore {
  return {
    name: file,
    async load() {
      try {
        const token = (await readFile(file, 'utf8')).trim();
        if (TOKEN.test(token)) return token;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
      throw new Error(`${file} does not hold a resume token; remove it, reload the inbox, and begin anew`);
    },
    async save(token) {
      await makeFolder(dirname(file), 0o700);
      const unfinished = `${file}.${process.pid}.tmp`;
      await writeFile(unfinished, `${token}\n`, { mode: 0o600, flush: true });
      await rename(unfinished, file);
    },
  };
}

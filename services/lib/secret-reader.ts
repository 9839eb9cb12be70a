import type { Logger } from './logging.js';
import { ReadAgain } from './read-again.js';
import { readSecretFile } from './secret-file.js';

/**
 * A secret as it is now, so that one that was replaced is used without a restart: for whoever makes a connection.
 * @param variable how the secret is called
 * @param given as it was at the start
 * @param path of its file; undefined: it was given as a variable, and stays
 */
export function secretReader(
  variable: string,
  given: string,
  path: string | undefined,
  logger: Pick<Logger, 'info' | 'error'>,
): () => string {
  if (path === undefined) return () => given;
  const read = (last: string | undefined) => (last === undefined ? given : readSecretFile(path));
  const secret = new ReadAgain({ what: `${variable}_FILE`, read }, logger);
  return () => secret.look();
}

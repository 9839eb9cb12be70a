import { readSecretFile } from '../secret-file.js';

/** The files that secrets were given as, by their field of Config. */
export type SecretFiles = Readonly<Record<string, string>>;

/**
 * A secret as it is now, so that one that was replaced is used without a restart: for whoever makes a connection.
 * @param given as it was at the start
 * @param path of its file; undefined: it was given as a variable, and stays
 * @param onProblem told why the file cannot be read; what was read last is used
 */
export function secretReader(
  given: string,
  path: string | undefined,
  onProblem?: (problem: Error) => void,
): () => string {
  if (path === undefined) return () => given;
  let last = given;
  return () => {
    try {
      last = readSecretFile(path);
    } catch (error) {
      onProblem?.(error as Error);
    }
    return last;
  };
}

import { type DatabaseUrl, parseDatabaseUrl } from './config/database-url.js';
import type { Logger } from './logging.js';
import { type SecretFiles, secretReader } from './secret-file.js';
import { ReloadedTls } from './tls-client-files.js';

/** What pg is told of the server and of us. */
export interface ServerOptions {
  readonly connectionString: string;
  /** Undefined: as PGSSLMODE says, which pg reads. */
  readonly ssl?: object | false;
}

/**
 * The server of DATABASE_URL, which may be a file: for each connection that is made the URL, and the files of
 * certificates that it names, are read again. While one cannot be used, what was there before is.
 */
export class PostgresServer {
  readonly #read: () => string;
  #url = '';
  #parsed: DatabaseUrl;
  #tls: ReloadedTls | undefined;
  /** Said last of what is wrong. */
  #said: string | undefined;

  /** @throws Error saying what is wrong with the URL or a file that it names */
  constructor(
    given: string,
    secretFiles: SecretFiles,
    private readonly logger: Logger,
  ) {
    this.#read = secretReader(given, secretFiles['databaseUrl'], (problem) => this.#say(problem));
    this.#parsed = this.#take(given);
  }

  #take(url: string): DatabaseUrl {
    const parsed = parseDatabaseUrl(url);
    const onProblem = (problem: Error) => this.#say(problem);
    this.#tls =
      parsed.mode === 'verify' || parsed.mode === 'no-verify' ? new ReloadedTls(parsed.files, onProblem) : undefined;
    this.#url = url;
    this.#parsed = parsed;
    return parsed;
  }

  #say(problem: Error): void {
    if (problem.message === this.#said) return;
    this.#said = problem.message;
    this.logger.error(
      { reason: problem.message },
      'DATABASE_URL cannot be used as it is now; what was there before is',
    );
  }

  /** For a connection that is made now. */
  get options(): ServerOptions {
    const url = this.#read();
    try {
      if (url !== this.#url) this.#take(url);
    } catch (error) {
      this.#say(error as Error);
    }
    const { plain: connectionString, mode } = this.#parsed;
    if (mode === undefined) return { connectionString };
    if (this.#tls === undefined) return { connectionString, ssl: false };
    // Of its own for each: pg hides the key in it.
    return { connectionString, ssl: { ...this.#tls.now, rejectUnauthorized: mode === 'verify' } };
  }
}

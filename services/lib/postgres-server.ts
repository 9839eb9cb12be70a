import { type DatabaseUrl, parseDatabaseUrl } from './config/database-url.js';
import type { Logger } from './logging.js';
import { ReadAgain } from './read-again.js';
import { readSecretFile, type SecretFiles } from './secret-file.js';
import { type ClientTls, readClientTls } from './tls-client-files.js';

/** What pg is told of the server and of us. */
export interface ServerOptions {
  readonly connectionString: string;
  /** Undefined: as PGSSLMODE says, which pg reads. */
  readonly ssl?: object | false;
}

interface Server {
  readonly url: string;
  readonly parsed: DatabaseUrl;
  /** Undefined: without TLS. */
  readonly tls: ReadAgain<ClientTls> | undefined;
}

/**
 * The server of DATABASE_URL, which may be a file: for each connection that is made the URL, and the files of
 * certificates that it names, are read again. While one cannot be used, what was there before is.
 */
export class PostgresServer {
  readonly #server: ReadAgain<Server>;

  /** @throws Error saying what is wrong with the URL or a file that it names */
  constructor(given: string, secretFiles: SecretFiles, logger: Logger) {
    const file = secretFiles['databaseUrl'];
    const read = (last: Server | undefined) => {
      const url = last === undefined || file === undefined ? given : readSecretFile(file);
      return url === last?.url ? last : readServer(url, logger);
    };
    this.#server = new ReadAgain({ what: 'DATABASE_URL', read }, logger);
  }

  /** For a connection that is made now. */
  get options(): ServerOptions {
    const { parsed, tls } = this.#server.look();
    const { plain: connectionString, mode } = parsed;
    if (mode === undefined) return { connectionString };
    if (tls === undefined) return { connectionString, ssl: false };
    // Of its own for each: pg hides the key in it.
    return { connectionString, ssl: { ...tls.look(), rejectUnauthorized: mode === 'verify' } };
  }
}

function readServer(url: string, logger: Logger): Server {
  const parsed = parseDatabaseUrl(url);
  const { mode, files } = parsed;
  const what = 'what DATABASE_URL names in sslrootcert, sslcert and sslkey';
  const read = (last: ClientTls | undefined) => readClientTls(files, last);
  const isEncrypted = mode === 'verify' || mode === 'no-verify';
  return { url, parsed, tls: isEncrypted ? new ReadAgain({ what, read }, logger) : undefined };
}

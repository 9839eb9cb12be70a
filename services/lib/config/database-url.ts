import { type ClientTlsFiles, readClientTls } from '../tls-client-files.js';

/** A URL without what it says of TLS, and that. */
export interface DatabaseUrl {
  readonly plain: string;
  /** Undefined: it says nothing. */
  readonly mode: 'disable' | 'no-verify' | 'verify' | undefined;
  readonly files: ClientTlsFiles;
}

/** pg would take `require` for verify-full in one version and for no verification in another: read here, it is one. */
const MODES: Readonly<Record<string, DatabaseUrl['mode']>> = {
  disable: 'disable',
  'no-verify': 'no-verify',
  prefer: 'verify',
  require: 'verify',
  'verify-ca': 'verify',
  'verify-full': 'verify',
};
const URL_FORM = /^postgres(ql)?:\/\/\S+$/;

/** @throws Error saying what is wrong, without the URL itself: it has the password */
export function parseDatabaseUrl(url: string): DatabaseUrl {
  if (!URL_FORM.test(url)) throw new Error('is no postgres:// URL');
  const [base = '', query = ''] = url.split(/\?(.*)/s);
  const given = new URLSearchParams(query);
  const take = (name: string) => {
    const value = given.get(name) ?? undefined;
    given.delete(name);
    return value === '' ? undefined : value;
  };
  const [ssl, sslmode] = [take('ssl'), take('sslmode')];
  const files = { ca: take('sslrootcert'), cert: take('sslcert'), key: take('sslkey') };
  take('uselibpqcompat');
  const hasFiles = Object.values(files).some((file) => file !== undefined);
  if (ssl === undefined && sslmode === undefined && !hasFiles) return { plain: url, mode: undefined, files };
  if (sslmode !== undefined && !(sslmode in MODES))
    throw new Error(`has sslmode=${sslmode}; there are ${Object.keys(MODES).join(', ')}`);
  if ((files.cert === undefined) !== (files.key === undefined))
    throw new Error('must have both sslcert and sslkey, or neither');
  const mode = sslmode === undefined ? (ssl === 'false' || ssl === '0' ? 'disable' : 'verify') : MODES[sslmode];
  const rest = given.toString();
  return { plain: rest === '' ? base : `${base}?${rest}`, mode, files };
}

/**
 * What is wrong with DATABASE_URL; undefined: nothing.
 * @param mustSay whether it has to say how a server beyond this machine is spoken to
 */
export function problemOfDatabaseUrl(url: string, mustSay: boolean): string | undefined {
  try {
    const { mode, files } = parseDatabaseUrl(url);
    readClientTls(files);
    if (mode !== undefined || !mustSay || isLocal(url)) return undefined;
    return (
      'says nothing of TLS, and its server is not on this machine: add ?sslmode=verify-full (and &sslrootcert=FILE for an ' +
      'authority of your own), or ?sslmode=disable where something else encrypts'
    );
  } catch (error) {
    return (error as Error).message;
  }
}

/** What somebody on the way could do, as DATABASE_URL says; undefined: nothing, or there is no way. */
export function riskOfDatabaseUrl(url: string): string | undefined {
  const { mode } = parseDatabaseUrl(url);
  if (mode === 'verify' || isLocal(url)) return undefined;
  return mode === 'no-verify'
    ? 'DATABASE_URL says sslmode=no-verify: whoever is on the way to PostgreSQL may pretend to be it'
    : 'DATABASE_URL does not ask for TLS: what goes to PostgreSQL and comes from there can be read and changed on its way';
}

/** A socket in the file system has no host, or a folder as its host. */
function isLocal(url: string): boolean {
  try {
    const { hostname, searchParams } = new URL(url);
    const host = searchParams.get('host') ?? decodeURIComponent(hostname);
    return /^(|\/.*|localhost|127\.\d+\.\d+\.\d+|\[?::1\]?)$/.test(host);
  } catch {
    return true;
  }
}

/** Shorter ones would be found in words that are none, such as the local stack's `ssom`. */
const LENGTH_MIN = 8;
/** Connections that stand may have one of before; a password that is changed every hour is no leak of memory. */
const OF_FILE_MAX = 3;
const SIGN = '(secret)';

/** What only secrets look like: a URL's user and password, credentials of HTTP, signed tokens, private keys. */
const FORMS: readonly (readonly [form: RegExp, instead: string])[] = [
  [/(:\/\/)[^\s/@"'\\]+@/g, `$1${SIGN}@`],
  [/\b(Basic|Bearer) +[\w.~+/=-]{8,}/gi, `$1 ${SIGN}`],
  [/\beyJ[\w-]{10,}\.[\w-]+(\.[\w-]*){0,3}/g, SIGN],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[\w+/=\s,:]|-(?!----)|\\+[nr])*(?:-----END [A-Z ]*KEY-----)?/g, SIGN],
];

/** Of the configuration as it was given: they are kept for good. */
const given = new Set<string>();
/** By their file: the last that were in it. */
const rotated = new Map<string, readonly string[]>();
/** What is looked for: all of them in all forms, the longest first, as one may be in another. */
let sought: readonly string[] = [];

/** Has a secret left out of logs, /readyz, traces and messages from now on, and so the password of a URL. */
export function keepSecret(secret: string): void {
  if (given.has(secret)) return;
  given.add(secret);
  seek();
}

/** The same for what is in a file now, until it was replaced a few times. */
export function keepSecretOf(file: string, secret: string): void {
  const before = rotated.get(file) ?? [];
  if (before.at(-1) === secret) return;
  rotated.set(file, [...before.filter((each) => each !== secret), secret].slice(-OF_FILE_MAX));
  seek();
}

function seek(): void {
  const all = [...given, ...[...rotated.values()].flat()].flatMap(partsOf);
  const forms = all.filter(({ length }) => length >= LENGTH_MIN).flatMap(formsOf);
  sought = [...new Set(forms)].sort((one, other) => other.length - one.length);
}

/** A text without the secrets that are kept, as they are or encoded, and without what looks like one. */
export function withoutSecrets(text: string): string {
  // One by one: a regular expression of 50 tokens takes 0.25 s to make, and 60 µs a line rather than 5.
  const known = sought.reduce((rest, form) => (rest.includes(form) ? rest.replaceAll(form, SIGN) : rest), text);
  return FORMS.reduce((rest, [form, instead]) => rest.replace(form, instead), known);
}

/** Itself, and the password of a URL as it is there and as it is meant. */
function partsOf(secret: string): string[] {
  const password = URL.canParse(secret) ? new URL(secret).password : '';
  return [secret, password, decoded(password)];
}

/** As it is, in JSON, in URLs, and in base64, where it begins at any of three places whatever stands before it. */
function formsOf(secret: string): string[] {
  const inBase64 = [0, 1, 2].map((shift) =>
    Buffer.from(' '.repeat(shift) + secret)
      .toString('base64')
      .slice(Math.ceil((shift * 4) / 3), -4),
  );
  return [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret), ...inBase64];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

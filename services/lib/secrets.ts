import { LRUCache } from 'lru-cache';

/** Shorter ones would be found in words that are none, such as the local stack's `ssom`. */
const LENGTH_MIN = 8;
/** Of those that were given out last; a password that is changed every hour is no leak of memory. */
const KEPT_MAX = 100;
const SIGN = '(secret)';

/** What only secrets look like: a URL's user and password, credentials of HTTP, signed tokens. */
const FORMS: readonly (readonly [form: RegExp, instead: string])[] = [
  [/(:\/\/)[^\s/@"'\\]+@/g, `$1${SIGN}@`],
  [/\b(Basic|Bearer) +[\w.~+/=-]{8,}/gi, `$1 ${SIGN}`],
  [/\beyJ[\w-]{10,}\.[\w-]+(\.[\w-]*){0,3}/g, SIGN],
];

const kept = new LRUCache<string, true>({ max: KEPT_MAX });
let pattern: RegExp | undefined;

/** Has a secret left out of logs, /readyz, traces and messages from now on, and so the password of a URL. */
export function keepSecret(secret: string): void {
  const password = URL.canParse(secret) ? new URL(secret).password : '';
  const isNews = [secret, password, decoded(password)].map(keep).some(Boolean);
  if (isNews) pattern = new RegExp([...kept.keys()].flatMap(formsOf).sort(longestFirst).map(escaped).join('|'), 'g');
}

/** @returns whether it was not known */
function keep(secret: string): boolean {
  const isNews = secret.length >= LENGTH_MIN && !kept.has(secret);
  if (isNews) kept.set(secret, true);
  return isNews;
}

/** A text without the secrets that are kept, as they are or encoded, and without what looks like one. */
export function withoutSecrets(text: string): string {
  const known = pattern === undefined ? text : text.replace(pattern, SIGN);
  return FORMS.reduce((rest, [form, instead]) => rest.replace(form, instead), known);
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

const longestFirst = (one: string, other: string) => other.length - one.length;
const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

import { ALERT_KINDS, ALERT_LEVELS } from '../domain/alert.js';
import type { CreateAlertRequest } from '../lib/grpc/types/ssom/alert/v1/CreateAlertRequest.js';
import type { StreamFilter } from '../lib/grpc/types/ssom/alert/v1/StreamFilter.js';
import { invalid, shown } from './check.js';

/*
 * What the wire would carry as "not set", so that the service could not say what was wrong with it. Numbers are left to the
 * service: it may know more of them.
 */

const KINDS = ALERT_KINDS.map((kind) => `ALERT_KIND_${kind}`);
const LEVELS = ALERT_LEVELS.map((level) => `ALERT_LEVEL_${level}`);
const FILTER_FIELDS: readonly string[] = ['kinds', 'minimumLevel', 'unreadOnly'] satisfies (keyof StreamFilter)[];

function checkName(field: string, value: unknown, names: readonly string[]): void {
  if (value === undefined || typeof value === 'number' || names.includes(value as string)) return;
  throw invalid(field, `must be one of ${names.join(', ')}, not ${shown(value)}`);
}

/** @throws AlertClientError INVALID_ARGUMENT for a kind or level that there is not */
export function checkAlert({ kind, level }: CreateAlertRequest): void {
  checkName('kind', kind, KINDS);
  checkName('level', level, LEVELS);
}

const RECIPIENT_LISTS = ['userIds', 'departments', 'githubLogins'] as const;

/**
 * An alert whose texts can be sent: half of a character (a lone surrogate) becomes U+FFFD in what people read, and in the names of
 * recipients, which are nobody's then. On the wire it would become one or three of them, by the text's length.
 */
export function wellFormed<T extends CreateAlertRequest>(alert: T): T {
  const { title, message, labels, recipients } = alert;
  const lists = RECIPIENT_LISTS.map((list) => [list, recipients?.[list]] as const).filter(([, names]) =>
    Array.isArray(names),
  );
  const texts = [title, message, ...Object.values(labels ?? {}), ...lists.flatMap(([, names]) => names)];
  if (texts.every((text) => typeof text !== 'string' || text.isWellFormed())) return alert;
  const mended = (text: unknown) => (typeof text === 'string' ? text.toWellFormed() : text) as string;
  return {
    ...alert,
    ...(title === undefined ? {} : { title: mended(title) }),
    ...(message === undefined ? {} : { message: mended(message) }),
    ...(labels === undefined
      ? {}
      : { labels: Object.fromEntries(Object.entries(labels).map(([key, value]) => [key, mended(value)])) }),
    ...(lists.length === 0
      ? {}
      : {
          recipients: {
            ...recipients,
            ...Object.fromEntries(lists.map(([list, names]) => [list, names!.map(mended)])),
          },
        }),
  };
}

/**
 * Everything else is compared: two ids that differ in such a half would be one.
 * @throws AlertClientError INVALID_ARGUMENT naming the first text that is not well-formed
 */
export function checkWellFormed(value: unknown, path = ''): void {
  if (typeof value === 'string' && !value.isWellFormed())
    throw invalid(path, 'must be well-formed: it has half of a character (a lone surrogate)');
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  for (const [key, each] of Object.entries(value)) {
    const name = Array.isArray(value) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`;
    if (!Array.isArray(value)) checkWellFormed(key, name.toWellFormed());
    checkWellFormed(each, name);
  }
}

/** @throws AlertClientError INVALID_ARGUMENT for what is no filter: it would let everything pass */
export function checkFilter(filter: unknown): void {
  if (filter === undefined || filter === null) return;
  if (typeof filter !== 'object') throw invalid('filter', `must be an object, not ${shown(filter)}`);
  const { kinds = [], minimumLevel, unreadOnly = false } = filter as StreamFilter;
  const unknown = Object.keys(filter).find((key) => !FILTER_FIELDS.includes(key));
  if (unknown !== undefined) throw invalid('filter', `has ${FILTER_FIELDS.join(', ')}, and no '${unknown}'`);
  if (!Array.isArray(kinds)) throw invalid('filter.kinds', `must be an array, not ${shown(kinds)}`);
  for (const kind of kinds) checkName('filter.kinds', kind, KINDS);
  checkName('filter.minimumLevel', minimumLevel, ['ALERT_LEVEL_UNSPECIFIED', ...LEVELS]);
  if (typeof unreadOnly !== 'boolean')
    throw invalid('filter.unreadOnly', `must be true or false, not ${shown(unreadOnly)}`);
}

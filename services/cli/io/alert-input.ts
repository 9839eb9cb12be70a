import type { CreateAlertRequest } from '../../client/check-request.js';
import { parseRfc3339, type Time } from '../../client/time.js';
import { ALERT_KINDS, ALERT_LEVELS } from '../../domain/alert.js';
import type { Recipients } from '../../gen/types.js';
import { isObject, join, Problems, readEnum, readFields, readList, readText, typeName } from './fields.js';
import { parseJson } from './json-text.js';

const FIELDS = [
  'requestId',
  'kind',
  'appName',
  'level',
  'title',
  'message',
  'occurredAt',
  'sourceId',
  'labels',
  'recipients',
] as const;
const RECIPIENT_FIELDS = ['userIds', 'departments', 'githubLogins'] as const;

/** An alert to be, or what is wrong with it. The service checks lengths, times and recipients; here it is the shape. */
export type AlertInput = { readonly request: CreateAlertRequest } | { readonly problems: readonly string[] };

/** What monitoring tools send to a URL of one's own, by the fields that each always has. */
const WEBHOOKS: readonly { readonly of: string; readonly has: readonly string[] }[] = [
  { of: 'Alertmanager or Grafana', has: ['receiver', 'status', 'alerts'] },
  { of: 'Grafana before 8', has: ['ruleName', 'ruleUrl', 'state'] },
  { of: 'GitHub', has: ['repository', 'sender'] },
  { of: 'Jenkins', has: ['name', 'url', 'build'] },
];

/**
 * One JSON object: the fields of CreateAlertRequest as proto3 JSON names them, or in snake_case.
 * @param line of its file on which it begins
 * @param problems none yet
 */
export function parseAlertLine(text: string, line = 1, problems = new Problems()): AlertInput {
  const json = parseJson(text, line);
  if ('problem' in json) return { problems: [json.problem] };
  const { value } = json;
  if (!isObject(value)) {
    const hint = Array.isArray(value) ? " (jq -c '.[]' makes one of each)" : '';
    return { problems: [`must be a JSON object, not ${typeName(value)}${hint}`] };
  }
  const webhook = WEBHOOKS.find(({ has }) => has.every((name) => Object.hasOwn(value, name)));
  if (webhook === undefined) return readAlert(value, problems);
  problems.add('is', `what a webhook of ${webhook.of} sends, and no alert${problems.once('an alert has', FIELDS)}`);
  return { problems: problems.list };
}

export function readAlert(object: Readonly<Record<string, unknown>>, problems = new Problems()): AlertInput {
  const fields = readFields(object, FIELDS, '', problems);
  const request: CreateAlertRequest = {};
  for (const name of ['requestId', 'appName', 'title', 'message', 'sourceId'] as const) {
    const text = readText(fields[name], name, problems);
    if (text !== undefined) request[name] = text;
  }
  // What is compared; of what people read the client replaces such a half.
  for (const name of ['requestId', 'appName', 'sourceId'] as const) checkWhole(request[name], name, problems);
  const kind = readEnum(fields.kind, 'ALERT_KIND', ALERT_KINDS, 'kind', problems);
  if (kind !== undefined) request.kind = kind;
  const level = readEnum(fields.level, 'ALERT_LEVEL', ALERT_LEVELS, 'level', problems);
  if (level !== undefined) request.level = level;
  if (fields.occurredAt !== undefined) request.occurredAt = readTime(fields.occurredAt, 'occurredAt', problems);
  if (fields.labels !== undefined) request.labels = readLabels(fields.labels, problems);
  if (fields.recipients !== undefined) request.recipients = readRecipients(fields.recipients, problems);
  return problems.list.length > 0 ? { problems: problems.list } : { request };
}

function readLabels(value: unknown, problems: Problems): Record<string, string> {
  if (!isObject(value)) {
    problems.add('labels', `must be an object, not ${typeName(value)}`);
    return {};
  }
  const labels = Object.entries(value).map(([key, given]) => {
    const path = `labels[${JSON.stringify(key)}]`;
    checkWhole(key, path, problems);
    const text = typeof given === 'boolean' || isExact(given) ? String(given) : given;
    if (typeof text !== 'string')
      problems.add(path, `must be a string, ${LABEL_NUMBERS}, true or false, not ${said(given)}`);
    return [key, text] as const;
  });
  return Object.fromEntries(labels) as Record<string, string>;
}

const LABEL_NUMBERS = 'a number of at most 15 digits';

/** Whether a number's text is the one that was written, or a shorter one for the same. */
function isExact(value: unknown): boolean {
  return typeof value === 'number' && String(value).replace(/\D/g, '').length <= 15 && !/e/.test(String(value));
}

function said(value: unknown): string {
  return typeof value === 'number' ? String(value) : typeName(value);
}

function readRecipients(value: unknown, problems: Problems): Recipients {
  if (!isObject(value)) {
    problems.add('recipients', `must be an object, not ${typeName(value)}`);
    return {};
  }
  const fields = readFields(value, RECIPIENT_FIELDS, 'recipients', problems);
  const recipients: Recipients = {};
  for (const name of RECIPIENT_FIELDS) {
    const path = join('recipients', name);
    const list = readList(fields[name], path, problems);
    list?.forEach((item, index) => readText(item ?? null, `${path}[${index}]`, problems));
    if (list !== undefined) recipients[name] = list as string[];
  }
  return recipients;
}

function checkWhole(text: string | undefined, path: string, problems: Problems): void {
  if (text?.isWellFormed() === false)
    problems.add(path, 'must be well-formed: it has half of a character (a lone surrogate)');
}

function readTime(value: unknown, path: string, problems: Problems): Time | null {
  const time = typeof value === 'string' ? parseRfc3339(value) : undefined;
  if (time !== undefined) return time;
  if (typeof value === 'string' && parseRfc3339(`${value}Z`) !== undefined)
    problems.add(path, `has no time zone: ${value}Z is UTC, ${value}+09:00 is Seoul`);
  else problems.add(path, `must be a time such as 2026-01-31T09:30:00+09:00, not ${JSON.stringify(value)}`);
  return null;
}

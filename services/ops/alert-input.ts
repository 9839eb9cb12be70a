import type { CreateAlertRequest } from '../client/check-request.js';
import { parseRfc3339, type Time } from '../client/time.js';
import { ALERT_KINDS, ALERT_LEVELS } from '../domain/alert.js';
import type { Recipients } from '../lib/grpc/types/ssom/alert/v1/Recipients.js';
import { isObject, join, Problems, readEnum, readFields, readList, readText, typeName } from './fields.js';

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

/** One line of JSON: the fields of CreateAlertRequest as proto3 JSON names them, or in snake_case. */
export function parseAlertLine(text: string): AlertInput {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    return { problems: [`is not JSON: ${(error as Error).message}`] };
  }
  if (!isObject(parsed)) {
    const hint = Array.isArray(parsed) ? " (jq -c '.[]' makes one of each)" : '';
    return { problems: [`must be a JSON object, not ${typeName(parsed)}${hint}`] };
  }
  return readAlert(parsed);
}

export function readAlert(object: Readonly<Record<string, unknown>>): AlertInput {
  const problems = new Problems();
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
  for (const [key, text] of Object.entries(value)) {
    readText(text, `labels[${JSON.stringify(key)}]`, problems);
    checkWhole(key, `labels[${JSON.stringify(key)}]`, problems);
  }
  return value as Record<string, string>;
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

import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Counts, Rule, TokenState } from './control-types.js';
import { CONDITIONS } from './google-errors.js';
import type { FcmServer } from './server.js';

/** Answers a request of the control API, which README.md describes. Mistakes get a 400 that says what is wrong. */
export async function handleControl(fcm: FcmServer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://control');
  const [, resource = '', id = ''] = pathname.split('/');
  try {
    const body = await text(request);
    const json: unknown = body === '' ? {} : JSON.parse(body);
    const result = perform(fcm, `${request.method ?? ''} ${resource}`, { id, searchParams, json });
    response.writeHead(result === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(result ?? { error: `there is no ${request.method ?? ''} ${pathname}` }));
  } catch (error) {
    response.writeHead(400, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: (error as Error).message }));
  }
}

interface Input {
  readonly id: string;
  readonly searchParams: URLSearchParams;
  readonly json: unknown;
}

function perform(fcm: FcmServer, action: string, { id, searchParams, json }: Input): unknown {
  switch (action) {
    case 'POST rules':
      return { id: fcm.behaviour.add(readRule(json)) };
    case 'DELETE rules':
      if (id === '') fcm.behaviour.clear();
      else fcm.behaviour.remove(Number(id));
      return {};
    case 'PUT tokens':
      return setTokens(fcm, json as { state?: TokenState; tokens?: string[] });
    case 'GET received':
      return fcm.ledger.received(searchParams.get('token'));
    case 'GET counts':
      return counts(fcm);
    case 'POST revoke':
      fcm.access.revokeAll();
      return {};
    case 'POST reset':
      fcm.ledger.reset();
      fcm.behaviour.clear();
      fcm.tokens.clear();
      return {};
    default:
      return undefined;
  }
}

function counts({ ledger, access }: FcmServer): Counts {
  return { ...ledger.counts(), grants: { given: access.given, refused: access.refused } };
}

function setTokens(fcm: FcmServer, { state, tokens = [] }: { state?: TokenState; tokens?: string[] }): object {
  if (state === undefined || !['known', 'dead', 'other-sender'].includes(state)) {
    throw new Error('state must be known, dead or other-sender');
  }
  for (const token of tokens) fcm.tokens.set(token, state);
  return {};
}

type Check = readonly string[] | 'string' | 'number' | 'boolean' | 'number or string';

const RULE_FIELDS: Readonly<Record<keyof Rule, Check>> = {
  token: 'string',
  share: 'number',
  perConnection: 'boolean',
  perMinute: 'number',
  validateOnly: 'boolean',
  times: 'number',
  delayMs: 'number',
  error: Object.keys(CONDITIONS),
  retryAfter: 'number or string',
  cut: ['before', 'unheard', 'middle', 'after'],
  malformed: ['not-json', 'empty', 'html', 'half', 'length-too-long', 'length-too-short'],
  status: 'number',
};

/** A mistyped rule must not become one that does nothing. */
function readRule(json: unknown): Rule {
  for (const [key, value] of Object.entries(json as Rule) as [string, unknown][]) {
    const check = Object.hasOwn(RULE_FIELDS, key) ? RULE_FIELDS[key as keyof Rule] : undefined;
    if (check === undefined) throw new Error(`a rule has no ${key}`);
    if (typeof check !== 'string') {
      if (!check.includes(value as string)) throw new Error(`${key} must be one of ${check.join(', ')}`);
    } else if (!check.split(' or ').includes(typeof value)) {
      throw new Error(`${key} must be a ${check}`);
    }
  }
  return json as Rule;
}

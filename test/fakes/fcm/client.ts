import { fork } from 'node:child_process';
import { sign } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '../../support/cleanup.js';
import { defer } from '../../support/defer.js';
import type { Counts, Ready, Received, Rule, ServiceAccount, TokenState } from './control-types.js';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

export interface FcmOptions {
  readonly port?: number;
  readonly projectId?: string;
  /** Of the shares of rules. Default: 1. */
  readonly seed?: number;
  /** Of all answers. Default: 0. */
  readonly latencyMs?: number;
  /** How many messages are remembered. Default: 50,000; 0: counts only. */
  readonly records?: number;
  /** Whether they are remembered with their content. Default: true. */
  readonly bodies?: boolean;
  readonly tokenLifetimeS?: number;
}

/** A running server. */
export interface Fcm extends Ready {
  readonly pid: number;
  /** Makes a rule. @returns its id */
  rule(rule: Rule): Promise<number>;
  removeRule(id: number): Promise<void>;
  setTokens(state: TokenState, tokens: readonly string[]): Promise<void>;
  /** What a token received, or all tokens, in the server's order. */
  received(token?: string): Promise<Received[]>;
  counts(): Promise<Counts>;
  /** A fresh access token, from the token endpoint. */
  accessToken(): Promise<string>;
  /** All access tokens given out so far are refused from now on. */
  revokeAccessTokens(): Promise<void>;
  /** Forgets records, counts, rules and the tokens' states; connections and access tokens stay. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

/** Starts the server as a process of its own, for one test. */
export async function startFcm(t: TestContext, options: FcmOptions = {}): Promise<Fcm> {
  const fcm = await launchFcm(options);
  defer(t, () => fcm.close());
  return fcm;
}

/**
 * A file with the server's service account, as an operator would give it to the service; it goes when the test ends.
 */
export function serviceAccountFile(t: TestContext, fcm: Pick<Fcm, 'serviceAccount'>): string {
  const folder = temporaryFolder();
  defer(t, () => folder.remove());
  return writeServiceAccount(folder.path, fcm);
}

function writeServiceAccount(folder: string, { serviceAccount }: Pick<Fcm, 'serviceAccount'>): string {
  const file = join(folder, 'service-account.json');
  writeFileSync(file, JSON.stringify(serviceAccount), { mode: 0o600 });
  return file;
}

/** What makes a role send to this server; the file with its service account is in the folder then. */
export function fcmVariables(fcm: Pick<Fcm, 'serviceAccount' | 'url'>, folder: string): Record<string, string> {
  return { FCM_CREDENTIALS: writeServiceAccount(folder, fcm), FCM_URL: fcm.url };
}

/** As startFcm, for who is no test and closes it himself. It ends with this process in any case. */
export async function launchFcm(options: FcmOptions = {}): Promise<Fcm> {
  const child = fork(MAIN, args(options), {
    execArgv: ['--enable-source-maps'],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const exit = once(child, 'exit');
  const ready = await firstLine(child.stdout!, exit);
  const call = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const answer = await fetch(`${ready.controlUrl}${path}`, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${await answer.text()}`);
    return (await answer.json()) as T;
  };
  return {
    ...ready,
    pid: child.pid!,
    rule: async (rule) => (await call<{ id: number }>('POST', '/rules', rule)).id,
    removeRule: (id) => call('DELETE', `/rules/${id}`),
    setTokens: (state, tokens) => call('PUT', '/tokens', { state, tokens }),
    received: (token) =>
      call('GET', token === undefined ? '/received' : `/received?token=${encodeURIComponent(token)}`),
    counts: () => call('GET', '/counts'),
    accessToken: () => requestAccessToken(ready.serviceAccount),
    revokeAccessTokens: () => call('POST', '/revoke'),
    reset: () => call('POST', '/reset'),
    close: async () => {
      child.kill();
      await exit;
    },
  };
}

function args(options: FcmOptions): string[] {
  const flags = {
    port: options.port,
    project: options.projectId,
    seed: options.seed,
    'latency-ms': options.latencyMs,
    records: options.records,
    'token-lifetime-s': options.tokenLifetimeS,
  };
  const given = Object.entries(flags).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]));
  return options.bodies === false ? [...given, '--no-bodies'] : given;
}

async function firstLine(output: NodeJS.ReadableStream, exit: Promise<unknown[]>): Promise<Ready> {
  const lines = createInterface(output);
  const line = await Promise.race([once(lines, 'line'), exit.then(() => undefined)]);
  if (line === undefined) throw new Error('the FCM server ended at its start; its reason is above');
  return JSON.parse(line[0] as string) as Ready;
}

/** Gets an access token as a service account does: RFC 7523. */
export async function requestAccessToken(account: ServiceAccount): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: account.client_email,
    scope: 'https://www.googleapis.com/auth/firebase.messaging',
    aud: account.token_uri,
    iat: now,
    exp: now + 3600,
  };
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const signed = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`;
  const signature = sign('RSA-SHA256', Buffer.from(signed), account.private_key).toString('base64url');
  const answer = await fetch(account.token_uri, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: `${signed}.${signature}`,
    }),
  });
  const body = (await answer.json()) as { access_token?: string; error_description?: string };
  if (body.access_token === undefined) throw new Error(`no access token: ${body.error_description ?? answer.status}`);
  return body.access_token;
}

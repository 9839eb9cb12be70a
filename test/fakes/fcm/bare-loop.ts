// The yardstick for the push role: the same requests over kept-alive connections, and nothing else: no firebase-admin.
//
// node .build/test/fakes/fcm/bare-loop.js --url http://127.0.0.1:8085 --service-account FILE --requests 10000
// --concurrency 100
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { parseArgs } from 'node:util';
import { requestAccessToken } from './client.js';
import type { ServiceAccount } from './control-types.js';

export interface LoopOptions {
  readonly url: string;
  readonly projectId: string;
  readonly accessToken: string;
  readonly requests: number;
  /** So many at once, each on a connection of its own. */
  readonly concurrency: number;
  /** The Message of each request, by its number from 0. */
  readonly message: (index: number) => object;
}

export interface LoopResult {
  readonly seconds: number;
  readonly perSecond: number;
  /** Of this process, milliseconds for each request. */
  readonly cpuMs: number;
  /** Answers that were not 200. */
  readonly failed: number;
}

export async function bareLoop(options: LoopOptions): Promise<LoopResult> {
  const { requests, concurrency } = options;
  const post = poster(options);
  const cpu = process.cpuUsage();
  const started = performance.now();
  let next = 0;
  let failed = 0;
  const lane = async () => {
    while (next < requests) {
      const status = await post(options.message(next++));
      if (status !== 200) failed += 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  post.close();
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { seconds, perSecond: requests / seconds, cpuMs: (user + system) / 1000 / requests, failed };
}

function poster({ url, projectId, accessToken, concurrency }: LoopOptions) {
  const target = new URL(`/v1/projects/${projectId}/messages:send`, url);
  const secure = target.protocol === 'https:';
  const agent = new (secure ? HttpsAgent : HttpAgent)({ keepAlive: true, maxSockets: concurrency });
  const request = secure ? httpsRequest : httpRequest;
  const headers = { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' };
  const post = (message: object) =>
    new Promise<number>((resolve, reject) => {
      const body = JSON.stringify({ message });
      const options = { method: 'POST', agent, headers: { ...headers, 'content-length': Buffer.byteLength(body) } };
      request(target, options, (response) => {
        // The answer is read whole, as any client must before it uses the connection again.
        response.resume();
        response.once('end', () => resolve(response.statusCode ?? 0)).once('error', reject);
      })
        .once('error', reject)
        .end(body);
    });
  return Object.assign(post, { close: () => agent.destroy() });
}

/** Of about the size of the service's: a notification with data for all platforms. */
export function sampleMessage(index: number): object {
  const alert = String(1_000_000 + index);
  return {
    token: `token-${String(index % 1000).padStart(20, '0')}`,
    notification: { title: 'ssok-bank: response time', body: 'p99 of /transfer is 4.2 s, above 1 s for 5 minutes' },
    data: { alert_id: alert, kind: 'GRAFANA', level: 'CRITICAL', sequence: '42', unread_count: '3' },
    android: { collapse_key: alert, priority: 'HIGH', ttl: '3600s', notification: { tag: alert } },
    apns: { headers: { 'apns-collapse-id': alert, 'apns-priority': '10' }, payload: { aps: { badge: 3 } } },
    webpush: { headers: { Topic: alert, TTL: '3600' }, notification: { tag: alert } },
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      url: { type: 'string', default: 'http://127.0.0.1:8085' },
      'service-account': { type: 'string', default: '' },
      requests: { type: 'string', default: '10000' },
      concurrency: { type: 'string', default: '100' },
    },
  });
  const account = JSON.parse(readFileSync(values['service-account'], 'utf8')) as ServiceAccount;
  const result = await bareLoop({
    url: values.url,
    projectId: account.project_id,
    accessToken: await requestAccessToken(account),
    requests: Number(values.requests),
    concurrency: Number(values.concurrency),
    message: sampleMessage,
  });
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

if (import.meta.filename === process.argv[1]) await main();

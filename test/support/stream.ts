import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type grpc from '@grpc/grpc-js';
import { api } from '../../services/api/protos.js';
import { cancelCall } from '../../services/client/cancel-call.js';
import type {
  InboxChange__Output,
  StreamAlertsRequest,
  StreamAlertsResponse__Output,
} from '../../services/gen/types.js';
import { type As, CallError, metadataOf, type TestApi } from './api.js';
import { defer } from './defer.js';
import { untilTrue } from './until-true.js';

/** A row of an inbox as both a folded stream and ListInbox show it. */
export interface FoldedRow {
  readonly alertId: number;
  readonly title: string;
  readonly isRead: boolean;
}

/** What a stream's client knows; hand it to the next stream to go on folding after a reconnect. */
export class Folded {
  readonly rows = new Map<number, FoldedRow & { readonly sequence: number }>();
  /** Of the last change. */
  sequence = 0;
  resumeToken = '';
  unreadCount = 0;
  /** Every change, in the order of arrival. */
  readonly changes: InboxChange__Output[] = [];
  /** What broke the rules of alert_stream_service.proto. */
  readonly problems: string[] = [];

  take(response: StreamAlertsResponse__Output): void {
    if (response.resumeToken === '') this.problems.push('a response has no resume_token');
    for (const change of response.changes) {
      const { alert, sequence, type, isRead } = change;
      if (alert === null) {
        this.problems.push(`change ${sequence} carries no alert`);
        continue;
      }
      if (sequence <= this.sequence) this.problems.push(`change ${sequence} came behind ${this.sequence}`);
      this.sequence = Math.max(this.sequence, sequence);
      this.changes.push(change);
      if (type === 'INBOX_CHANGE_TYPE_DELETED') {
        this.rows.delete(alert.alertId);
        continue;
      }
      if (alert.title === '') this.problems.push(`change ${sequence} (${type}) carries an alert without its content`);
      if (type === 'INBOX_CHANGE_TYPE_CREATED' && isRead) this.problems.push(`change ${sequence} is new and read`);
      this.rows.set(alert.alertId, { alertId: alert.alertId, title: alert.title, isRead, sequence });
    }
    this.resumeToken = response.resumeToken;
    this.unreadCount = response.unreadCount;
  }

  /** Newest alert first, as ListInbox. */
  list(): FoldedRow[] {
    return [...this.rows.values()]
      .sort((a, b) => b.alertId - a.alertId)
      .map(({ alertId, title, isRead }) => ({ alertId, title, isRead }));
  }
}

type Call = grpc.ClientReadableStream<StreamAlertsResponse__Output>;

/** An open StreamAlerts whose responses are gathered and folded. */
export class CollectedStream {
  readonly responses: StreamAlertsResponse__Output[] = [];
  #error: CallError | undefined;
  #ended = false;
  #live = false;
  readonly #call: Call;

  constructor(
    client: grpc.Client,
    as: As,
    request: StreamAlertsRequest,
    readonly folded: Folded,
  ) {
    const { path, requestSerialize, responseDeserialize } = api.AlertStreamService.service.StreamAlerts;
    this.#call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, metadataOf(as));
    this.#call.on('data', (response: StreamAlertsResponse__Output) => {
      this.responses.push(response);
      folded.take(response);
      if (response.changes.length === 0) this.#live = true;
    });
    this.#call.on('error', (error: grpc.ServiceError) => {
      this.#error = new CallError('StreamAlerts', error);
      this.#ended = true;
    });
    this.#call.on('end', () => (this.#ended = true));
  }

  get changes(): readonly InboxChange__Output[] {
    return this.folded.changes;
  }

  get error(): CallError | undefined {
    return this.#error;
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  /** Whether a checkpoint came, the first of which says that the stream has caught up. */
  get isLive(): boolean {
    return this.#live;
  }

  async untilLive(timeoutMs = 10_000): Promise<this> {
    await this.until(() => this.#live, 'the stream is live', timeoutMs);
    return this;
  }

  /** Waits for a condition on this stream. @throws at once if the stream ends before */
  async until(condition: () => boolean, what: string, timeoutMs = 10_000): Promise<void> {
    await untilTrue(() => condition() || this.#ended, {
      timeoutMs,
      intervalMs: 5,
      what: () => `${what} (after ${this.responses.length} responses, ${this.changes.length} changes)`,
    });
    if (!condition()) throw new Error(`the stream ended before: ${what}`, { cause: this.#error });
  }

  async untilAlerts(alertIds: readonly number[], timeoutMs = 10_000): Promise<void> {
    await this.until(
      () => alertIds.every((alertId) => this.folded.rows.has(alertId)),
      `the stream shows ${alertIds.length} alerts`,
      timeoutMs,
    );
  }

  /** The error with which the service ends the stream. */
  async untilRefused(timeoutMs = 10_000): Promise<CallError> {
    await untilTrue(() => this.#ended, { timeoutMs, what: 'the stream ends' });
    assert.ok(this.#error, 'the stream ended without an error');
    return this.#error;
  }

  /** Stops reading: the service sees a slow client once HTTP/2's window is full. */
  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  async cancel(): Promise<void> {
    if (this.#ended) return;
    cancelCall(this.#call);
    await untilTrue(() => this.#ended, { what: 'a cancelled stream ends' });
  }

  /** Fails if the stream broke a rule of the protocol. */
  assertInOrder(): void {
    assert.deepEqual(this.folded.problems, []);
  }
}

/** Opens a stream, and cancels it when the test ends. Give `folded` of an earlier stream to go on with it. */
export function collectStream(
  t: TestContext,
  client: TestApi,
  as: As,
  request: StreamAlertsRequest = {},
  folded = new Folded(),
): CollectedStream {
  const resumeToken = request.resumeToken ?? folded.resumeToken;
  const stream = new CollectedStream(client.client, as, { ...request, resumeToken }, folded);
  defer(t, () => stream.cancel());
  return stream;
}

/** A user's whole inbox by ListInbox, page after page. */
export async function listWholeInbox(
  client: TestApi,
  user: string,
): Promise<{ rows: FoldedRow[]; unreadCount: number }> {
  const rows: FoldedRow[] = [];
  let unreadCount = 0;
  let pageToken = '';
  do {
    const page = await client.call('ListInbox', { pageSize: 500, pageToken }, { user });
    rows.push(...page.entries.map(({ alert, isRead }) => ({ alertId: alert!.alertId, title: alert!.title, isRead })));
    ({ unreadCount, nextPageToken: pageToken } = page);
  } while (pageToken !== '');
  return { rows, unreadCount };
}

/** Fails unless the folded stream (started at the beginning) equals ListInbox, now or within a few seconds. */
export async function assertFoldEqualsInbox(client: TestApi, user: string, folded: Folded): Promise<void> {
  let inbox = await listWholeInbox(client, user);
  await untilTrue(
    async () => {
      inbox = await listWholeInbox(client, user);
      return inbox.unreadCount === folded.unreadCount && JSON.stringify(inbox.rows) === JSON.stringify(folded.list());
    },
    { intervalMs: 50, what: `the folded stream of ${user} equals the inbox` },
  ).catch(() => undefined);
  assert.deepEqual(folded.list(), inbox.rows);
  assert.equal(folded.unreadCount, inbox.unreadCount);
  assert.deepEqual(folded.problems, []);
}

import { EventEmitter } from 'node:events';
import { api, messageType } from '../../../services/api/protos.js';
import type { ChangeType } from '../../../services/domain/alert.js';
import { readResumeToken, ResumeTokenWriter } from '../../../services/domain/resume-token.js';
import type { AlertContents } from '../../../services/stream-gateway/alert-contents.js';
import {
  AlertStream,
  type AlertStreamOptions,
  type StreamCall,
  type StreamHost,
} from '../../../services/stream-gateway/alert-stream.js';
import { StreamBudget } from '../../../services/stream-gateway/stream-budget.js';
import { StreamFilter } from '../../../services/stream-gateway/stream-filter.js';
import { Folded } from '../../support/stream.js';

/** What Kafka brings. */
export type InboxChangedEvent = Parameters<AlertStream['push']>[0];

export const USER = 'op1';
export const EPOCH = 1;
export const tokens = new ResumeTokenWriter(USER, EPOCH);
/** Up to which number a token goes. */
export const position = (token: string) => readResumeToken(token, USER, EPOCH);

interface ModelRow {
  readonly alertId: number;
  readonly createdSequence: number;
  sequence: number;
  change: ChangeType;
  isRead: boolean;
}

/** One user's inbox as PostgreSQL keeps it: the state that a folded stream must reach. */
export class InboxModel {
  readonly rows = new Map<number, ModelRow>();
  lastSequence = 0;
  prunedSequence = 0;
  epoch = EPOCH;

  get unreadCount(): number {
    return [...this.rows.values()].filter(({ isRead, change }) => !isRead && change !== 'DELETED').length;
  }

  create(...alertIds: number[]): InboxChangedEvent {
    for (const alertId of alertIds) {
      const sequence = this.lastSequence + 1;
      this.rows.set(alertId, { alertId, createdSequence: sequence, sequence, change: 'CREATED', isRead: false });
      this.lastSequence = sequence;
    }
    return this.#event(alertIds);
  }

  /** READ, UNREAD or DELETED; what it does not apply to stays as it is. */
  change(type: Exclude<ChangeType, 'CREATED'>, ...alertIds: number[]): InboxChangedEvent {
    const changed = alertIds.filter((alertId) => {
      const row = this.rows.get(alertId);
      if (row === undefined || row.change === 'DELETED') return false;
      if ((type === 'READ' && row.isRead) || (type === 'UNREAD' && !row.isRead)) return false;
      row.sequence = this.lastSequence += 1;
      row.change = type;
      if (type !== 'DELETED') row.isRead = type === 'READ';
      return true;
    });
    return this.#event(changed);
  }

  /** Its event holds only the last number, as MarkAllRead's. */
  readAll(): InboxChangedEvent {
    this.change('READ', ...this.rows.keys());
    return this.#event([]);
  }

  #event(alertIds: readonly number[]): InboxChangedEvent {
    const changes = alertIds
      .map((alertId) => this.rows.get(alertId)!)
      .sort((a, b) => a.sequence - b.sequence)
      .map(({ alertId, sequence, change, isRead }) => ({ alertId, sequence, type: change, isRead, traceparent: '' }));
    return { userId: USER, lastSequence: this.lastSequence, unreadCount: this.unreadCount, changes, epoch: this.epoch };
  }

  /** What changesAfter would read. */
  page(after: number, limit: number) {
    const changes = [...this.rows.values()]
      .filter(({ sequence }) => sequence > after)
      .sort((a, b) => a.sequence - b.sequence)
      .slice(0, limit)
      .map((row) => ({ ...row }));
    return {
      changes,
      lastSequence: this.lastSequence,
      prunedSequence: this.prunedSequence,
      unreadCount: this.unreadCount,
    };
  }

  /** As ListInbox. */
  list() {
    return [...this.rows.values()]
      .filter(({ change }) => change !== 'DELETED')
      .sort((a, b) => b.alertId - a.alertId)
      .map(({ alertId, isRead }) => ({ alertId, title: `alert ${alertId}`, isRead }));
  }
}

const { responseDeserialize } = api.AlertStreamService.service.StreamAlerts;

/** The server's side of a call whose client is us. */
export class FakeCall extends EventEmitter {
  readonly folded = new Folded();
  readonly responses: ReturnType<typeof responseDeserialize>[] = [];
  /** What write() answers: false means that the client is slow, and `drain` will come. */
  room = true;
  ended = false;
  /** Called when the client takes a response; one that reads takes each at once. */
  readonly taken: (() => void)[] = [];
  reads = true;

  getPeer(): string {
    return '127.0.0.1:50000';
  }

  write(bytes: Buffer, taken?: () => void): boolean {
    const response = responseDeserialize(bytes);
    this.responses.push(response);
    this.folded.take(response);
    if (taken !== undefined && this.reads && this.room) queueMicrotask(taken);
    else if (taken !== undefined) this.taken.push(taken);
    return this.room;
  }

  /** The client takes what it was sent. */
  take(): void {
    for (const taken of this.taken.splice(0)) taken();
  }

  end(): void {
    this.ended = true;
  }

  drain(): void {
    this.room = true;
    this.emit('drain');
  }

  get sequences(): number[] {
    return this.folded.changes.map(({ sequence }) => sequence);
  }

  get checkpoints(): number {
    return this.responses.filter(({ changes }) => changes.length === 0).length;
  }
}

const alertType = messageType('ssom.alert.v1.Alert');

/** Contents of any alert, of kind GRAFANA and level WARNING; those in `missing` could not be loaded. */
export function fakeContents(missing: ReadonlySet<number> = new Set()): AlertContents {
  const get = (alertId: number) =>
    missing.has(alertId)
      ? undefined
      : {
          bytes: Buffer.from(alertType.encode({ alertId, title: `alert ${alertId}` }).finish()),
          kind: 'GRAFANA' as const,
          rank: 2,
          createdAt: 0,
        };
  return { get, load: () => Promise.resolve(), size: 0 } as unknown as AlertContents;
}

/** Notes what a stream asks of its hub. */
export class FakeHost implements StreamHost {
  /** How often the stream asked to be read for. */
  asked = 0;
  /** How often a stream doubted its inbox. */
  suspicions = 0;
  gaps = 0;
  /** Changes that were sent. */
  changes = 0;
  /** Alerts that came to streams that were there before them. */
  arrivals = 0;
  endings = 0;

  readonly budget = new StreamBudget();
  readonly limits;
  readonly metrics: StreamHost['metrics'] = {
    gaps: { add: (count: number) => (this.gaps += count) },
    stalled: { add: () => undefined },
    sent: (changes) => (this.changes += changes),
    arrived: () => (this.arrivals += 1),
  };

  constructor(
    bufferMax = 1000,
    readonly contents = fakeContents(),
  ) {
    this.limits = { streamBufferMax: bufferMax, streamStallMs: Infinity };
  }

  /** Bytes that the client has not taken yet. */
  get waiting(): number {
    return this.budget.pending;
  }

  catchUp(): void {
    this.asked += 1;
  }

  suspect(): void {
    this.suspicions += 1;
  }

  ended(): void {
    this.endings += 1;
  }
}

export function newStream(call: FakeCall, host: StreamHost, options: Partial<AlertStreamOptions> = {}): AlertStream {
  return new AlertStream({
    caller: 'user of the stream',
    userId: USER,
    call: call as unknown as StreamCall,
    host,
    filter: new StreamFilter([], 0, false),
    tokens,
    checkpointMs: 60_000,
    cursor: 0,
    inboxEnd: 0,
    endsAt: Infinity,
    believedUntil: undefined,
    openedIn: undefined,
    ...options,
  });
}

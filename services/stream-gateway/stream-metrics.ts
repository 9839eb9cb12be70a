import type { Metrics } from '../lib/telemetry/metrics.js';
import { wallClock } from '../lib/wall-clock.js';
import type { AlertContents, EncodedAlert } from './alert-contents.js';
import { BUFFERED_MAX, type StreamBudget } from './stream-budget.js';

/** What is read when somebody asks. */
export interface StreamReadings {
  readonly contents: AlertContents;
  readonly budget: StreamBudget;
  readonly streamsMax: number;
  readonly open: () => number;
  readonly opening: () => number;
  readonly slow: () => number;
}

/** The metrics of a gateway's streams. */
export class StreamMetrics {
  readonly gaps;
  readonly resynced;
  readonly stalled;
  readonly refused;
  readonly beyondInbox;
  readonly #latency;
  #sent = 0;

  constructor(metrics: Metrics, { contents, budget, streamsMax, open, opening, slow }: StreamReadings) {
    this.gaps = metrics.counter(
      'ssom.stream.gaps',
      'Missing numbers that a stream noticed and filled from PostgreSQL.',
    );
    this.resynced = metrics.counter(
      'ssom.stream.healed',
      'Streams that were behind PostgreSQL without knowing and were brought up.',
    );
    this.stalled = metrics.counter('ssom.stream.stalled', 'Streams that were ended since their client took nothing.');
    this.refused = metrics.counter(
      'ssom.stream.refused',
      'Streams that were refused, by the bound: of the gateway, of a user, of a caller.',
      (['gateway', 'user', 'caller'] as const).map((bound) => ({ bound })),
    );
    this.beyondInbox = metrics.counter(
      'ssom.stream.beyond_inbox',
      'Streams that were ended since they had come further than their inbox goes: PostgreSQL has lost commits.',
    );
    this.#latency = metrics.latency(
      'ssom.alert.create_to_stream',
      "Time from CreateAlert's commit to the alert written to a live stream, for each stream.",
    );
    metrics.total('ssom.stream.changes', 'Inbox changes that were written to streams.', () => this.#sent);
    metrics.queue('streams', open, streamsMax);
    metrics.gauge('ssom.stream.open', 'Streams that are open.', open);
    metrics.gauge('ssom.stream.opening', 'Streams that are being opened.', opening);
    metrics.gauge('ssom.stream.slow', 'Streams whose client does not take what it was sent, now.', slow);
    metrics.queue('stream_buffers', () => budget.buffered, BUFFERED_MAX);
    metrics.gauge(
      'ssom.stream.buffered',
      `Live changes that wait for streams which are catching up or slow; at most ${BUFFERED_MAX}.`,
      () => budget.buffered,
    );
    metrics.gauge(
      'ssom.stream.pending.bytes',
      'Bytes of responses that wait for slow clients; at most some 128 KiB a stream.',
      () => budget.pending,
    );
    metrics.cache('contents', () => contents.lookups);
    metrics.gauge(
      'ssom.stream.announced.bytes',
      'Events of alerts that no stream has asked for yet; the oldest fall out at 8 MiB.',
      () => contents.announced?.bytes ?? 0,
    );
    metrics.gauge('ssom.stream.content_cache.size', 'Alerts in the content cache.', () => contents.size);
    metrics.gauge('ssom.stream.content_cache.bytes', 'Bytes of the alerts in the content cache.', () => contents.bytes);
  }

  /** So many changes were written to a stream. Kept here, as nothing is counted more often. */
  sent(changes: number): void {
    this.#sent += changes;
  }

  /** A new alert is written to a stream that was there before it, and whose client did not hold it up. */
  arrived({ createdAt }: EncodedAlert, traceparent: string): void {
    this.#latency.record((wallClock() - createdAt) / 1000, traceparent);
  }
}

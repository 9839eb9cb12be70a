/* Metrics of what every role stands on. */
import { type Database, poolSizes, WAITING_MAX } from '../lib/postgres.js';
import type { Metrics } from '../lib/telemetry/metrics.js';
import type { Tracing } from '../lib/telemetry/tracing.js';
import type { RoleReadiness } from './readiness.js';

export function observeReadiness(metrics: Metrics, readiness: RoleReadiness): void {
  metrics.gauge('ssom.ready', 'What a role needs: 1 it is there, 0 it is not; as in /readyz.', () =>
    [...readiness.checks].map(([check, { ok, required }]) => ({
      value: ok ? 1 : 0,
      attributes: { check, required },
    })),
  );
}

export function observePool(metrics: Metrics, database: Database, connectionsMax: number): void {
  const pools = { light: database, bulk: database.bulk };
  const sizes = poolSizes(connectionsMax);
  const each = <T>(value: (pool: keyof typeof pools) => T) => (Object.keys(pools) as (keyof typeof pools)[]).map(value);
  metrics.gauge('db.client.connection.count', 'Connections of the PostgreSQL pools, by state.', () =>
    each((pool) => {
      const { total, idle, waiting } = pools[pool].stats;
      return [
        { value: idle, attributes: { pool, state: 'idle' } },
        { value: total - idle, attributes: { pool, state: 'used' } },
        { value: waiting, attributes: { pool, state: 'waited_for' } },
      ];
    }).flat(),
  );
  metrics.gauge('db.client.connection.pending_requests', 'Queries that wait for a connection.', () =>
    each((pool) => ({ value: pools[pool].stats.waiting, attributes: { pool } })),
  );
  metrics.gauge('db.client.connection.max', 'Connections that a PostgreSQL pool may have.', () =>
    each((pool) => ({ value: sizes[pool], attributes: { pool } })),
  );
  metrics.queue('pool_waiters', () => pools.light.stats.waiting, WAITING_MAX);
  metrics.queue('bulk_pool_waiters', () => pools.bulk.stats.waiting, WAITING_MAX);
}

export function observeSpans(metrics: Metrics, tracing: Tracing, queueMax: number): void {
  metrics.total('ssom.traces.spans.ended', 'Spans of recorded traces that have ended.', () => tracing.counts.ended);
  metrics.total('ssom.traces.spans.dropped', 'Spans that did not get to the collector, by reason.', () => [
    { value: tracing.counts.queueFull, attributes: { reason: 'queue_full' } },
    { value: tracing.counts.exportFailed, attributes: { reason: 'export_failed' } },
    { value: tracing.counts.shutdown, attributes: { reason: 'shutdown' } },
  ]);
  metrics.total(
    'ssom.traces.sampled_down',
    'Traces that were not recorded although their callers asked for it, more than TRACE_CALLERS_MAX times a second.',
    () => tracing.sampledDown,
  );
  metrics.queue('spans', () => tracing.waiting, queueMax);
}

/** @returns what counts what one consumer tries again, by reason */
export function countRetries<Reason extends string>(
  metrics: Metrics,
  consumer: string,
  reasons: readonly Reason[],
): (reason: Reason) => void {
  const initial = reasons.map((reason) => ({ consumer, reason }));
  const counter = metrics.counter('ssom.retries', 'What was tried again, by consumer and reason.', initial);
  return (reason) => counter.add(1, { consumer, reason });
}

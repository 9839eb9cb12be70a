import { CHANGE_TYPES, type ChangeType } from '../domain/alert.js';
import type { Metrics } from '../lib/telemetry/metrics.js';

/** Counters of rows of inboxes that were written, by what has changed. */
export function inboxWrites(metrics: Metrics): Record<ChangeType, (rows: number) => void> {
  const labels = CHANGE_TYPES.map((change) => ({ change }));
  const counter = metrics.counter(
    'ssom.inbox.writes',
    'Rows of inboxes that were written, by what has changed.',
    labels,
  );
  return Object.fromEntries(
    labels.map((attributes) => [attributes.change, (rows: number) => counter.add(rows, attributes)]),
  ) as Record<ChangeType, (rows: number) => void>;
}

// What tells whether streams that ended have left something behind.

/** The metrics of what a gateway holds for streams; all are 0 when none is open. */
export const HELD = [
  'ssom_stream_open',
  'ssom_stream_opening',
  'ssom_stream_catch_up_waiting',
  'ssom_stream_buffered',
  'ssom_stream_pending_bytes',
  'ssom_presence_waiting',
];

/** What keeps this process's event loop busy, by type: sockets, timers, requests. */
export function activeResources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const type of process.getActiveResourcesInfo()) counts[type] = (counts[type] ?? 0) + 1;
  return counts;
}

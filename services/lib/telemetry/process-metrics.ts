import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

interface Observed {
  gauge(name: string, description: string, read: () => number): void;
  total(name: string, description: string, read: () => number): void;
}

/** How long event-loop delays gather. Not "since the last reading": there may be several readers. */
const DELAY_WINDOW_MS = 10_000;
/** From one look at the event loop to the next. */
const RESOLUTION_MS = 20;

/** What there is to know of any Node process. */
export function observeProcess(
  metrics: Observed,
  delay: Pick<IntervalHistogram, 'enable' | 'percentile' | 'reset'> = monitorEventLoopDelay({
    resolution: RESOLUTION_MS,
  }),
): void {
  delay.enable();
  let since = performance.now();
  let last = 0;
  metrics.gauge(
    'nodejs.eventloop.delay.p99',
    'Event-loop delay of the last 10 to 20 s, 99th percentile, in seconds.',
    () => {
      // It measures from look to look, the time between them included.
      const percentile = delay.percentile(99) / 1e9 - RESOLUTION_MS / 1000;
      const present = Number.isFinite(percentile) ? Math.max(0, percentile) : 0;
      const shown = Math.max(last, present);
      if (performance.now() - since > DELAY_WINDOW_MS) {
        delay.reset();
        since = performance.now();
        last = present;
      }
      return shown;
    },
  );
  metrics.gauge('process.memory.usage', 'Resident memory in bytes.', () => process.memoryUsage.rss());
  metrics.gauge('process.uptime', 'Seconds since the start.', () => process.uptime());
  metrics.total('process.cpu.time', 'CPU time in seconds, user and system.', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
}

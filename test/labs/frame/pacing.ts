/** Calls `send` `count` times, `rate` a second and evenly; what a late timer missed is caught up at once. */
export async function paced(rate: number, count: number, send: (index: number) => void): Promise<void> {
  const started = performance.now();
  for (let sent = 0; sent < count;) {
    const due = Math.min(count, Math.floor(((performance.now() - started) * rate) / 1000) + 1);
    for (; sent < due; sent += 1) send(sent);
    const next = started + (sent * 1000) / rate - performance.now();
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, next)));
  }
}

import type { ProducerClient } from './producer-client.js';
import type { Batch } from './publish-batch.js';

/** Records that are unacknowledged for so long make their client suspect. */
const STALL_MS = 20_000;

/** Has a producer's client replaced that does not send what it was handed although brokers answer. */
export class UnacknowledgedWatch {
  /** What was the oldest at the last look, while brokers answered. */
  #suspect: Batch | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly client: ProducerClient,
    /** What is not acknowledged yet, the oldest first. */
    private readonly open: ReadonlySet<Batch>,
  ) {}

  begin(): void {
    this.#timer = setInterval(() => void this.#look(), STALL_MS / 2).unref();
  }

  end(): void {
    clearInterval(this.#timer);
  }

  /**
   * After a cluster was wiped, librdkafka ignores some leaders as outdated, again and again. Brokers that answer while
   * old records stay unacknowledged give that away; that others are acknowledged says nothing.
   */
  async #look(): Promise<void> {
    const { client, open } = this;
    const [oldest] = open;
    const { native, unansweredSince } = client;
    if (native === undefined) return;
    if (unansweredSince !== undefined) {
      if (performance.now() < unansweredSince + STALL_MS) return;
      return client.tryAnother();
    }
    if (oldest === undefined || performance.now() < oldest.heardAt + STALL_MS) return;
    try {
      await client.probe();
    } catch {
      return; // an outage, or this client alone: the next look tells
    }
    // Brokers that have just come back are given until the next look.
    const again = this.#suspect === oldest;
    this.#suspect = oldest;
    if (!again || !open.has(oldest) || performance.now() < oldest.heardAt + STALL_MS) return;
    if (client.native !== native) return;
    await client.renew(new Error(`records stay unacknowledged for ${STALL_MS} ms although brokers answer`));
  }
}

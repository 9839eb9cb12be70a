import type { Logger } from '../logging.js';
import type { ConsumerClient } from './consumer-client.js';
import type { ConsumerPauses } from './consumer-pauses.js';
import type { ConsumerProgress } from './consumer-progress.js';
import type { GroupMembership } from './group-membership.js';
import { partitionName, type PartitionOffset } from './incoming-record.js';
import { committedOffsets, watermarks } from './topic-offsets.js';
import type { WakeUps } from './wake-ups.js';

/** From one look to the next. */
const LOOK_MS = 10_000;
/** After an assignment: what nobody read is to be seen soon. */
const FIRST_LOOK_MS = 1000;

/**
 * Asks brokers for the ends of partitions that are not being read on: paused, set aside, or standing still. What
 * librdkafka tells of them is as old as its last fetch, and that their records were removed meanwhile it never tells.
 */
export class PartitionEnds {
  #timer: NodeJS.Timeout | undefined;
  /** Positions at the last look. */
  #lookedAt: ReadonlyMap<string, number> = new Map();
  #lookedAtMs = -Infinity;
  #generation = -1;

  constructor(
    private readonly client: ConsumerClient,
    private readonly arrivals: WakeUps,
    private readonly pauses: ConsumerPauses,
    private readonly progress: ConsumerProgress,
    private readonly membership: GroupMembership,
    private readonly logger: Logger,
  ) {}

  begin(): void {
    const waitMs = this.#generation === this.client.generation ? LOOK_MS : FIRST_LOOK_MS;
    this.#timer = setTimeout(() => {
      void this.#look()
        .catch((error: unknown) => this.logger.debug({ err: error }, 'the ends of partitions could not be seen'))
        .finally(() => {
          if (!this.client.isClosed) this.begin();
        });
    }, waitMs).unref();
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  /** These were assigned: where the group had come to is where they are to be read on. */
  async expect(partitions: readonly PartitionOffset[]): Promise<void> {
    const { client, progress, logger } = this;
    const { generation } = client;
    try {
      const committed = partitions.length === 0 ? [] : await committedOffsets(client, partitions);
      if (client.generation !== generation) return;
      for (const position of committed) if (position.offset >= 0) progress.noteCommitted(position);
    } catch (error) {
      logger.debug({ err: error }, 'where the group had come to is not known');
    }
  }

  async #look(): Promise<void> {
    const { client, progress, pauses } = this;
    const { generation } = client;
    const before = this.#lookedAt;
    const isFresh = this.#generation !== generation;
    // What was fetched before it was removed is still to come, unless everything was handed out since the last look.
    const isSure = pauses.isPaused || this.arrivals.drainedAt > this.#lookedAtMs;
    this.#lookedAt = new Map(progress.positions);
    this.#lookedAtMs = performance.now();
    this.#generation = generation;
    const standing = client.assignment.filter((each) => {
      const name = partitionName(each);
      return isFresh || pauses.isPaused || pauses.isParked(name) || this.#lookedAt.get(name) === before.get(name);
    });
    progress.keepEnds(standing);
    if (standing.length === 0) return;
    const committed = this.membership.hasJoined ? await committedOffsets(client, standing) : [];
    // One after the other, and none after the first that fails: each holds a thread of libuv's pool for seconds then.
    for (const [index, each] of standing.entries()) {
      const ends = await watermarks(client, each);
      if (client.generation !== generation) return;
      // A group that has committed nothing begins with the oldest record.
      const from = committed[index] === undefined ? -1 : Math.max(committed[index].offset, 0);
      progress.noteEnds(each, { ...ends, committed: from });
      if (isSure) progress.noteRemoved(each, ends.low);
    }
  }
}

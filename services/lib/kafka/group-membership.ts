import type { Logger } from '../logging.js';
import { withTimeout } from '../retry.js';
import type { ConsumerClient } from './consumer-client.js';
import type { ConsumerPauses } from './consumer-pauses.js';
import { partitionName, type PartitionOffset } from './incoming-record.js';
import type { NativeConsumer } from './native-consumer.js';
import type { OffsetCommits } from './offset-commits.js';
import type { WakeUps } from './wake-ups.js';

const REVOKE_WAIT_MS = 10_000;

/** What a consumer does when the group gives it partitions, and takes them away. */
export interface Member {
  readonly groupId: string;
  /** Awaited before partitions are given up: finishes what is in hand. */
  readonly finish: (() => Promise<void>) | undefined;
  /** Partitions are about to be assigned: what was known of those before counts no more. */
  readonly startAssignment: () => void;
  /** Partitions are assigned. */
  readonly assigned: (partitions: readonly PartitionOffset[]) => void;
  /** Partitions are about to be given up: nothing of them may be committed any more, either. */
  readonly endAssignment: () => void;
}

/**
 * A consumer's place in its group: which partitions are its own, as the group says. Outside any group it never joins.
 */
export class GroupMembership {
  #isRebalancing = false;
  #hasJoined = false;
  /** Since when the group has given no word of which partitions are ours. */
  #unassignedSince: number | undefined;
  #rebalances = 0;

  constructor(
    private readonly client: ConsumerClient,
    private readonly arrivals: WakeUps,
    private readonly pauses: ConsumerPauses,
    private readonly commits: OffsetCommits,
    private readonly logger: Logger,
    private readonly member: Member,
  ) {}

  /** Between two assignments. */
  get isRebalancing(): boolean {
    return this.#isRebalancing;
  }

  /** Whether the group has given partitions, be they none, at least once. */
  get hasJoined(): boolean {
    return this.#hasJoined;
  }

  /** For how many milliseconds the group has not told which partitions are ours; 0 if it has. */
  get unassignedMs(): number {
    return this.#unassignedSince === undefined ? 0 : performance.now() - this.#unassignedSince;
  }

  /** Times that partitions were assigned. */
  get rebalances(): number {
    return this.#rebalances;
  }

  join(topics: readonly string[]): void {
    this.#unassignedSince = performance.now();
    this.client.native.subscribe(topics);
  }

  /** The client is replaced: a rebalance of the old one ends unheard. */
  abandon(): void {
    this.#isRebalancing = false;
  }

  /** @param native whose rebalance it is; it may be replaced while we wait, and gives up what it has then */
  async rebalance(native: NativeConsumer, assigned: boolean, partitions: PartitionOffset[]): Promise<void> {
    try {
      if (assigned) this.#take(native, partitions);
      else await this.#giveUp(native, partitions);
    } catch (error) {
      if (!this.client.isClosed) this.logger.warn({ err: error }, 'a rebalance failed');
    } finally {
      if (this.client.isCurrent(native)) {
        this.#isRebalancing = false;
        this.arrivals.announce();
      }
    }
  }

  #take(native: NativeConsumer, partitions: PartitionOffset[]): void {
    // Answered all the same: it cannot leave its group otherwise.
    if (this.client.isClosed) return native.unassign();
    this.member.startAssignment();
    this.#hasJoined = true;
    this.#unassignedSince = undefined;
    this.#rebalances += 1;
    this.#isRebalancing = false;
    native.assign(partitions);
    this.pauses.apply(partitions);
    this.member.assigned(partitions);
    this.logger.info({ group: this.member.groupId, partitions: names(partitions) }, 'partitions assigned');
  }

  async #giveUp(native: NativeConsumer, partitions: PartitionOffset[]): Promise<void> {
    this.#isRebalancing = true;
    this.#unassignedSince = performance.now();
    const lost = native.assignmentLost;
    const { finish, groupId } = this.member;
    if (!lost && finish !== undefined) {
      await withTimeout(finish(), REVOKE_WAIT_MS, 'finishing before a rebalance').catch((error: Error) =>
        this.logger.warn({ err: error }, 'partitions are given up with work in hand; it will come again'),
      );
      await withTimeout(this.commits.flush(), REVOKE_WAIT_MS, 'committing before a rebalance').catch(() => undefined);
    }
    if (!this.client.isCurrent(native)) return native.unassign();
    this.member.endAssignment();
    native.unassign();
    this.logger.info({ group: groupId, partitions: names(partitions), lost }, 'partitions revoked');
  }
}

function names(partitions: readonly PartitionOffset[]): string {
  return partitions.map(partitionName).join(' ');
}

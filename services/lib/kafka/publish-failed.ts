import { RdKafka } from '@confluentinc/kafka-javascript';
import { likelyCause } from './topic-refusals.js';

const PERMANENT: ReadonlySet<number> = new Set([
  RdKafka.CODES.ERRORS.ERR_MSG_SIZE_TOO_LARGE,
  RdKafka.CODES.ERRORS.ERR_INVALID_RECORD,
]);

/** Records were not acknowledged. They may have been written all the same. */
export class PublishFailed extends Error {
  /** Whether it is the record's fault, so that it fails again. */
  readonly permanent: boolean;

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'PublishFailed';
    this.permanent = PERMANENT.has((options?.cause as { code?: number } | undefined)?.code ?? 0);
  }
}

/** @param what the records that Kafka did not take */
export function notTaken(what: string, cause: Error): PublishFailed {
  const likely = likelyCause(cause);
  const reason = likely === undefined ? cause.message : `${cause.message} (${likely})`;
  return new PublishFailed(`Kafka did not take ${what}: ${reason}`, { cause });
}

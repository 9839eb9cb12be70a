import { Consumer } from '../../../../services/lib/kafka/consumer.js';
import { positionsAfter } from '../../../../services/lib/kafka/offset-tracker.js';
import { runWired } from './wired.js';

// Records count as done when they were fetched, and what becomes of them does not matter.
const { poll, commit } = Consumer.prototype;
Consumer.prototype.poll = async function (max, waitMs) {
  const records = await poll.call(this, max, waitMs);
  commit.call(this, positionsAfter(records), this.generation);
  return records;
};
Consumer.prototype.commit = () => undefined;
await runWired();

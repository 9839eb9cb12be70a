import { Consumer } from '../../../../services/lib/kafka/consumer.js';
import { positionsAfter } from '../../../../services/lib/kafka/offset-tracker.js';
import { runWired } from './wired.js';

// Records count as done when they were fetched.
const { poll } = Consumer.prototype;
Consumer.prototype.poll = async function (max, waitMs) {
  const records = await poll.call(this, max, waitMs);
  this.commit(positionsAfter(records), this.generation);
  return records;
};
await runWired();

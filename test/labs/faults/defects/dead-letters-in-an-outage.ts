import { PoisonRecord } from '../../../../services/lib/kafka/poison-record.js';
import { Triage } from '../../../../services/lib/kafka/triage.js';
import { runWired } from './wired.js';

// Whatever goes wrong is taken for the fault of the record that was in hand.
const handleAll = Triage.prototype.process;
Triage.prototype.process = function (records, handle, signal) {
  const blame = (some: typeof records) =>
    handle(some).catch((error: unknown) => {
      throw error instanceof PoisonRecord ? error : new PoisonRecord(some[0]!, error as Error);
    });
  return handleAll.call(this, records, blame, signal);
};
await runWired();

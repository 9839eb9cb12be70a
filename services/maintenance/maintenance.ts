import type { Service } from '../lib/lifecycle.js';
import type { Runtime } from '../runtime/runtime.js';
import { KnownEpoch } from '../store/known-epoch.js';
import type { RecipientResolver } from '../store/recipient-resolver.js';
import { AuditKeeper } from './audit-keeper.js';
import { DeadLetterKeeper } from './dead-letter-keeper.js';
import { Reconciler } from './reconcile.js';
import { Retention } from './retention.js';

/**
 * The jobs that keep the whole true: reconciliation, the index of dead letters, retention, and the account of who did
 * what. Any number of instances may run them; an advisory lock each sees to it that one does.
 *
 * @param options.reconcileAtStart Kafka is new: what was published before is lost, and is looked for at once
 */
export function createMaintenance(
  runtime: Runtime,
  resolver: RecipientResolver,
  options: { reconcileAtStart: boolean },
): Service {
  const epoch = new KnownEpoch(runtime.database, () => resolver.clear());
  const reconciler = new Reconciler(runtime, resolver, epoch);
  const retention = new Retention(runtime);
  const keeper = new DeadLetterKeeper(runtime, resolver);
  const audit = new AuditKeeper(runtime);

  return {
    async run(signal) {
      await runtime.databaseReady(signal);
      // The account is in PostgreSQL alone.
      const withKafka = async () => {
        const { producer, events } = await runtime.publishing(signal);
        const publish = await runtime.publisher(signal);
        await Promise.all([
          reconciler.run(publish, events, signal, options.reconcileAtStart),
          keeper.run(producer, events, signal),
          retention.run(signal),
        ]);
      };
      await Promise.all([audit.run(signal), withKafka()]);
    },
    close: () => Promise.resolve(),
  };
}

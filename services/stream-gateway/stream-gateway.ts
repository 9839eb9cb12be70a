import { api } from '../api/protos.js';
import type { Service } from '../lib/lifecycle.js';
import { AdminReads } from '../runtime/admin-reads.js';
import type { Runtime } from '../runtime/runtime.js';
import { AlertContents } from './alert-contents.js';
import { InboxChanges } from './inbox-changes.js';
import { Presence } from './presence.js';
import { StreamHub } from './stream-hub.js';
import { StreamOpenings } from './stream-openings.js';
import { streamAlerts } from './stream-service.js';

/** The role that clients hold streams to: every instance reads all inbox changes and keeps those of its own users. */
export function createStreamGateway(runtime: Runtime): Service {
  const { alarms, config, database, grpc, logger, metrics, tracing } = runtime;
  const contents = new AlertContents(database, config.alertCacheMax);
  const presence: Presence = new Presence(database, logger, () => hub.users);
  const hub: StreamHub = new StreamHub({ config, database, contents, logger, metrics, tracing, presence });
  const streamsOf = (userId: string) => hub.streamsOf(userId);
  const epoch = () => hub.epoch;
  const changes = new InboxChanges({ config, contents, logger, metrics, alarms, tracing, streamsOf, epoch });
  const openings = new StreamOpenings(database, config.streamsMax, (error, others) =>
    database.breaker.failedToo(error, others),
  );
  metrics.queue('stream_openings', () => openings.waiting, config.streamsMax);
  metrics.gauge('ssom.presence.waiting', 'Users whose coming or going is still to be written.', () => presence.waiting);
  const reads = new AdminReads(runtime, 'reads_stream_gateway');
  const definition = api.AlertStreamService.service;
  // Responses are serialised by the stream itself, around alerts that were serialised once for everybody.
  const passThrough = { StreamAlerts: { ...definition.StreamAlerts, responseSerialize: (bytes: Buffer) => bytes } };
  grpc.addService(passThrough, { StreamAlerts: streamAlerts(openings, hub, runtime.limits, reads) });

  return {
    async run(signal) {
      signal.addEventListener('abort', () => hub.close(), { once: true });
      await runtime.databaseReady(signal);
      // Without Kafka streams go on, a few seconds behind, by comparing with PostgreSQL.
      const followKafka = async () => {
        const events = await runtime.events(signal);
        const { alertCreated, inboxChange } = events.topics;
        // Streams may be live already: what came for them before will not be brought.
        const compare = () => void hub.compare(signal);
        const consumer = await runtime.broadcast([inboxChange, alertCreated], compare, signal);
        runtime.started('stream-gateway');
        await changes.consume(consumer, events, signal);
      };
      await Promise.all([followKafka(), hub.resync(signal), hub.checkpoints(signal), presence.run(signal)]);
    },
    close: () => {
      hub.close();
      return presence.close();
    },
  };
}

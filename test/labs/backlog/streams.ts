// Clients that hold streams while the backlog is worked off: some read, some have stopped reading.
import grpc from '@grpc/grpc-js';
import { api } from '../../../services/api/protos.js';
import type { StreamAlertsResponse__Output } from '../../../services/gen/types.js';

const { path, requestSerialize, responseDeserialize } = api.AlertStreamService.service.StreamAlerts;

/** One stream on a connection of its own; it counts what it sees. */
export class CountingStream {
  /** The number of the last change; the changes of an inbox in which nothing is read or deleted are 1 to n. */
  sequence = 0;
  live = false;
  problem: string | undefined;
  #closing = false;
  readonly #client: grpc.Client;
  readonly #call: grpc.ClientReadableStream<StreamAlertsResponse__Output>;

  constructor(
    address: string,
    readonly userId: string,
  ) {
    this.#client = new grpc.Client(address, grpc.credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_receive_message_length': -1,
    });
    const metadata = new grpc.Metadata();
    metadata.set('x-user-id', userId);
    const request = { start: 'STREAM_START_BEGINNING' as const };
    this.#call = this.#client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, metadata);
    this.#call.on('data', ({ changes }: StreamAlertsResponse__Output) => {
      this.live = true;
      for (const { sequence } of changes) {
        if (sequence !== this.sequence + 1) this.problem ??= `${userId}: ${sequence} came behind ${this.sequence}`;
        this.sequence = sequence;
      }
    });
    this.#call.on('error', (error) => {
      if (!this.#closing) this.problem ??= `${userId}: ${error.message}`;
    });
  }

  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  close(): void {
    this.#closing = true;
    this.#call.cancel();
    this.#client.close();
  }
}

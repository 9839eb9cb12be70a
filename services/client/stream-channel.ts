import type * as grpc from '@grpc/grpc-js';
import { api } from '../api/protos.js';
import type { StreamAlertsRequest, StreamAlertsResponse__Output } from '../gen/types.js';
import type { CallSettings } from './call.js';
import { openChannel } from './channel.js';
import { AlertClientError } from './errors.js';

export interface StreamCall {
  readonly responses: grpc.ClientReadableStream<StreamAlertsResponse__Output>;
  /**
   * To be told when it failed: the next call uses another connection where that may help. `anew`: also where there is
   * one address, since a balancer may know a better one.
   */
  readonly lost: (anew: boolean) => void;
  /** To be told when it is over, however it ended. */
  readonly ended: () => void;
}

interface Connection {
  readonly channel: grpc.Channel;
  readonly stub: InstanceType<typeof api.AlertStreamService>;
  /** Calls that are not over. */
  calls: number;
}

/** The connections of the streams. One that another has taken the place of ends with its last stream. */
export class StreamChannel {
  readonly #connections = new Set<Connection>();
  #current: Connection;
  /** Clients begin at different gateways. */
  #next: number;

  /** @throws AlertClientError INVALID_ARGUMENT (ADDRESS_INVALID) without an address, or for one that is none */
  constructor(
    private readonly addresses: readonly string[],
    private readonly credentials: grpc.ChannelCredentials,
    private readonly metadata: CallSettings['metadata'],
  ) {
    if (addresses.length === 0) {
      throw new AlertClientError('INVALID_ARGUMENT', 'ADDRESS_INVALID', 'streamAddress must name one gateway at least');
    }
    this.#next = Math.floor(Math.random() * addresses.length);
    this.#current = this.#connect();
  }

  /** @param refused whether the credentials of the call before were */
  async open(request: StreamAlertsRequest, refused: boolean): Promise<StreamCall> {
    const metadata = await this.metadata(refused);
    const used = this.#current;
    const lost = (anew: boolean) => {
      // Streams that are lost together move together; grpc-js dials a single address again by itself.
      if (this.#current !== used || (!anew && this.addresses.length === 1)) return;
      this.#current = this.#connect();
    };
    const ended = () => {
      used.calls -= 1;
      if (used.calls > 0 || used === this.#current) return;
      used.channel.close();
      this.#connections.delete(used);
    };
    used.calls += 1;
    return { responses: used.stub.streamAlerts(request, metadata), lost, ended };
  }

  close(): void {
    for (const { channel } of this.#connections) channel.close();
  }

  #connect(): Connection {
    const address = this.addresses[this.#next++ % this.addresses.length]!;
    const channel = openChannel(address, this.credentials);
    const stub = new api.AlertStreamService(address, this.credentials, { channelOverride: channel });
    const connection = { channel, stub, calls: 0 };
    this.#connections.add(connection);
    return connection;
  }
}

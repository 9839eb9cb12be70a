import type * as grpc from '@grpc/grpc-js';
import { api } from '../lib/grpc/protos.js';
import type { StreamAlertsRequest } from '../lib/grpc/types/ssom/alert/v1/StreamAlertsRequest.js';
import type { StreamAlertsResponse__Output } from '../lib/grpc/types/ssom/alert/v1/StreamAlertsResponse.js';
import type { CallSettings } from './call.js';
import { openChannel } from './channel.js';
import { AlertClientError } from './errors.js';

export interface StreamCall {
  readonly responses: grpc.ClientReadableStream<StreamAlertsResponse__Output>;
  /**
   * To be told when it failed, `silent` if nothing came rather than an error: the next call is to use another connection
   * where that may help.
   */
  readonly lost: (silent: boolean) => void;
}

/** The connections of the streams. One that fell silent is left to die with its calls, and another takes its place. */
export class StreamChannel {
  #current: ReturnType<StreamChannel['connect']>;
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
    this.#current = this.connect();
  }

  /** @param refused whether the credentials of the call before were */
  async open(request: StreamAlertsRequest, refused: boolean): Promise<StreamCall> {
    const metadata = await this.metadata(refused);
    const used = this.#current;
    const lost = (silent: boolean) => {
      // Streams that are lost together move together; grpc-js dials a single address again by itself.
      if (this.#current !== used || (!silent && this.addresses.length === 1)) return;
      used.channel.close();
      this.#current = this.connect();
    };
    return { responses: used.stub.streamAlerts(request, metadata), lost };
  }

  close(): void {
    this.#current.channel.close();
  }

  private connect() {
    const address = this.addresses[this.#next++ % this.addresses.length]!;
    const channel = openChannel(address, this.credentials);
    return { channel, stub: new api.AlertStreamService(address, this.credentials, { channelOverride: channel }) };
  }
}

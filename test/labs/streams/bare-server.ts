// What a gateway is held against: a bare grpc-js server whose handler says one thing and keeps the call.
import grpc, { type ServerWritableStream } from '@grpc/grpc-js';
import { api } from '../../../services/api/protos.js';
import { serve } from '../frame/worker.js';
import { type Holding, holding } from './inspect.js';

const { StreamAlerts } = api.AlertStreamService.service;
const calls = new Set<ServerWritableStream<unknown, Buffer>>();

const commands = {
  /** @param first what each stream is sent when it opens, in base64 */
  async listen({ first }: { first: string }): Promise<string> {
    const hello = Buffer.from(first, 'base64');
    const server = new grpc.Server({ 'grpc.enable_channelz': 0 });
    const keep = (call: ServerWritableStream<unknown, Buffer>) => {
      calls.add(call);
      call.on('cancelled', () => {
        calls.delete(call);
        call.end();
      });
      call.write(hello);
    };
    const passThrough = { StreamAlerts: { ...StreamAlerts, responseSerialize: (bytes: Buffer) => bytes } };
    server.addService(passThrough, { StreamAlerts: keep });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    return `127.0.0.1:${port}`;
  },

  /**
   * Writes the same bytes, in base64, to every stream.
   * @param stride 1: in the order in which they were opened; a number that has no factor in common with theirs:
   * scattered, as the records of a topic that is keyed by user are
   */
  fanOut({ message, stride }: { message: string; stride: number }): void {
    const bytes = Buffer.from(message, 'base64');
    const all = [...calls];
    for (let index = 0; index < all.length; index += 1) all[(index * stride) % all.length]!.write(bytes);
  },

  holding: (_: undefined): Promise<Holding> => holding(),
};
export type BareCommands = typeof commands;

serve(commands);

// The clients that most users have: grpc-js on both ends.
import grpc from '@grpc/grpc-js';
import { api } from '../../../services/api/protos.js';
import { countChanges } from '../bench/wire.js';
import { serve } from '../frame/worker.js';

const { path, requestSerialize } = api.AlertStreamService.service.StreamAlerts;
const OPENING = 200;

let received = 0;
let lastAt = 0n;
let lastMessage: Buffer = Buffer.alloc(0);

function open(client: grpc.Client, userId: string): Promise<void> {
  const metadata = new grpc.Metadata();
  metadata.set('x-user-id', userId);
  const request = { start: 'STREAM_START_NOW' as const };
  return new Promise((resolve, reject) => {
    const take = (message: Buffer) => {
      const changes = countChanges(message);
      if (changes === 0) return changes;
      received += changes;
      lastAt = process.hrtime.bigint();
      lastMessage = message;
      return changes;
    };
    const stream = client.makeServerStreamRequest(path, requestSerialize, take, request, metadata);
    stream.on('data', resolve);
    stream.on('error', reject);
  });
}

const commands = {
  async open(options: { address: string; perConnection: number; users: readonly string[] }): Promise<void> {
    const { address, perConnection, users } = options;
    const channel = () =>
      new grpc.Client(address, grpc.credentials.createInsecure(), {
        'grpc.use_local_subchannel_pool': 1,
        'grpc.enable_channelz': 0,
      });
    const channels = Array.from({ length: Math.ceil(users.length / perConnection) }, channel);
    for (let from = 0; from < users.length; from += OPENING) {
      const some = users.slice(from, from + OPENING);
      await Promise.all(
        some.map((userId, index) => open(channels[Math.floor((from + index) / perConnection)]!, userId)),
      );
    }
  },
  async changes({ count, timeoutMs }: { count: number; timeoutMs: number }) {
    const until = Date.now() + timeoutMs;
    while (received < count && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 2));
    const result = { received, lastAt: String(lastAt), message: lastMessage.toString('base64') };
    received = 0;
    return result;
  },
};
export type GrpcClientCommands = typeof commands;

serve(commands);

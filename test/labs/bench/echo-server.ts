// What CreateAlert cannot be faster than: a bare grpc-js server that decodes the same request and encodes the same
// answer.
import grpc, { type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { api } from '../../../services/api/protos.js';
import type { CreateAlertRequest__Output, CreateAlertResponse } from '../../../services/gen/types.js';
import { serve } from '../frame/worker.js';

const { CreateAlert } = api.AlertService.service;

function echo(
  { request }: ServerUnaryCall<CreateAlertRequest__Output, CreateAlertResponse>,
  answer: sendUnaryData<CreateAlertResponse>,
): void {
  const now = Date.now();
  const createdAt = { seconds: Math.floor(now / 1000), nanos: (now % 1000) * 1_000_000 };
  const { kind, appName, level, title, message, sourceId, labels, occurredAt } = request;
  const alert = { kind, appName, level, title, message, sourceId, labels };
  answer(null, {
    alert: { ...alert, alertId: 1_000_000, occurredAt: occurredAt ?? createdAt, createdAt },
    replayed: false,
  });
}

const commands = {
  async listen(_: undefined): Promise<string> {
    const server = new grpc.Server({ 'grpc.enable_channelz': 0 });
    server.addService({ CreateAlert }, { CreateAlert: echo });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    return `127.0.0.1:${port}`;
  },
};
export type EchoCommands = typeof commands;

serve(commands);

import type { TestContext } from 'node:test';
import grpc from '@grpc/grpc-js';
import { api } from '../../../services/api/protos.js';
import type { AlertClient } from '../../../services/client/client.js';
import type {
  AlertServiceHandlers,
  AlertStreamServiceHandlers,
  DeviceServiceHandlers,
  DirectoryServiceHandlers,
  InboxServiceHandlers,
  StreamAlertsRequest__Output,
  StreamAlertsResponse,
} from '../../../services/gen/types.js';

export type Handlers = Partial<
  AlertServiceHandlers &
    InboxServiceHandlers &
    DeviceServiceHandlers &
    DirectoryServiceHandlers &
    AlertStreamServiceHandlers
>;
export type StreamCall = grpc.ServerWritableStream<StreamAlertsRequest__Output, StreamAlertsResponse>;

const SERVICES = [api.AlertService, api.InboxService, api.DeviceService, api.DirectoryService, api.AlertStreamService];

/** Serves our real protocol with the given handlers, on a free port, until the test ends. */
export async function fakeService(
  t: TestContext,
  handlers: Handlers,
  credentials = grpc.ServerCredentials.createInsecure(),
): Promise<string> {
  const server = new grpc.Server();
  const untyped = handlers as grpc.UntypedServiceImplementation;
  for (const { service } of SERVICES) server.addService(service, untyped);
  t.after(() => server.forceShutdown());
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return `127.0.0.1:${port}`;
}

/** Ends a call of the fake service with a status. */
export function refuse(
  call: StreamCall,
  status: { code: grpc.status; details: string; metadata?: grpc.Metadata },
): void {
  call.emit('error', status);
}

export function closeAfter(t: TestContext, client: AlertClient): AlertClient {
  t.after(() => client.close());
  return client;
}

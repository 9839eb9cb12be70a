import type { TestContext } from 'node:test';
import grpc from '@grpc/grpc-js';
import { defer } from './defer.js';

const METRICS = '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export';
const TRACES = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';

export interface MetricsReceiver {
  readonly url: string;
  /** Requests for metrics, as bytes. */
  readonly metrics: readonly Buffer[];
  /** The same of traces. */
  readonly traces: readonly Buffer[];
}

/** Takes what is sent by OTLP over gRPC, and keeps it; with `hangs` it never answers. */
export async function startMetricsReceiver(t: TestContext, { hangs = false } = {}): Promise<MetricsReceiver> {
  const server = new grpc.Server({ 'grpc.max_receive_message_length': -1 });
  const metrics: Buffer[] = [];
  const traces: Buffer[] = [];
  const method = (path: string): grpc.MethodDefinition<Buffer, Buffer> => ({
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes) => bytes,
    requestDeserialize: (bytes) => bytes,
    responseSerialize: (bytes) => bytes,
    responseDeserialize: (bytes) => bytes,
  });
  const take = (into: Buffer[]): grpc.handleUnaryCall<Buffer, Buffer> => {
    return ({ request }, answer) => {
      into.push(request);
      if (!hangs) answer(null, Buffer.alloc(0));
    };
  };
  server.addService({ Export: method(METRICS) }, { Export: take(metrics) });
  server.addService({ Export: method(TRACES) }, { Export: take(traces) });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  defer(t, () => server.forceShutdown());
  return { url: `http://127.0.0.1:${port}`, metrics, traces };
}

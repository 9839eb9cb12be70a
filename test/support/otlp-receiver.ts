import type { TestContext } from 'node:test';
import grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { defer } from './defer.js';

/** What of OTLP's trace protocol the tests look at. */
const PROTO = `
  syntax = "proto3";
  message Value { oneof value { string text = 1; bool flag = 2; int64 integer = 3; double number = 4; } }
  message Attribute { string key = 1; Value value = 2; }
  message Resource { repeated Attribute attributes = 1; }
  message Event { string name = 2; }
  message Link { bytes trace_id = 1; bytes span_id = 2; }
  message Status { string message = 2; int32 code = 3; }
  message Span {
    bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
    fixed64 start = 7; fixed64 end = 8; repeated Attribute attributes = 9; repeated Event events = 11;
    repeated Link links = 13; Status status = 15;
  }
  message ScopeSpans { repeated Span spans = 2; }
  message ResourceSpans { Resource resource = 1; repeated ScopeSpans scopes = 2; }
  message Request { repeated ResourceSpans resources = 1; }`;

const REQUEST = protobuf.parse(PROTO).root.lookupType('Request');
const ERROR = 2;

type AttributeValue = string | number | boolean;

export interface ReceivedSpan {
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentId: string;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly events: readonly string[];
  /** Ids of the spans that it has links to. */
  readonly links: readonly string[];
  readonly failed: boolean;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly endedAt: number;
}

interface Attribute {
  readonly key: string;
  readonly value: Record<string, AttributeValue>;
}

interface Request {
  readonly resources: {
    readonly resource: { readonly attributes: Attribute[] };
    readonly scopes: {
      readonly spans: {
        readonly name: string;
        readonly traceId: string;
        readonly spanId: string;
        readonly parentSpanId?: string;
        readonly attributes?: Attribute[];
        readonly events?: { readonly name: string }[];
        readonly links?: { readonly spanId: string }[];
        readonly status?: { readonly code?: number };
        readonly start: number;
        readonly end: number;
      }[];
    }[];
  }[];
}

/** A collector of the test's own: takes OTLP over gRPC and keeps every span. */
export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];

  /** Of each export. */
  readonly headers: grpc.Metadata[] = [];

  constructor(readonly url: string) {}

  take(bytes: Buffer): void {
    const options = { bytes: String, longs: Number, arrays: true };
    const request = REQUEST.toObject(REQUEST.decode(bytes), options) as unknown as Request;
    for (const { resource, scopes } of request.resources) {
      const service = String(attributesOf(resource.attributes)['service.name']);
      for (const { spans } of scopes) {
        for (const span of spans) {
          const { name, traceId, spanId, parentSpanId, attributes, events, links, status } = span;
          this.spans.push({
            service,
            name,
            traceId: hex(traceId),
            spanId: hex(spanId),
            parentId: hex(parentSpanId ?? ''),
            attributes: attributesOf(attributes),
            events: (events ?? []).map((event) => event.name),
            links: (links ?? []).map((link) => hex(link.spanId)),
            failed: status?.code === ERROR,
            startedAt: span.start / 1e6,
            endedAt: span.end / 1e6,
          });
        }
      }
    }
  }

  /** The spans of this name, of one trace if it is given. */
  named(name: string, traceId?: string): ReceivedSpan[] {
    return this.spans.filter((span) => span.name === name && (traceId === undefined || span.traceId === traceId));
  }

  parentOf({ parentId }: ReceivedSpan): ReceivedSpan | undefined {
    return this.spans.find(({ spanId }) => spanId === parentId);
  }
}

function hex(base64: string): string {
  return Buffer.from(base64, 'base64').toString('hex');
}

function attributesOf(attributes: readonly Attribute[] = []): Record<string, AttributeValue> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]!]));
}

/** @param tls by which it is reached, and the authority that clients must have a certificate of */
export async function startOtlpReceiver(
  t: TestContext,
  tls?: { readonly certificate: string; readonly key: string; readonly authority: string },
): Promise<OtlpReceiver> {
  const server = new grpc.Server({ 'grpc.max_receive_message_length': -1 });
  const keep = (bytes: Buffer) => bytes;
  const method: grpc.MethodDefinition<Buffer, Buffer> = {
    path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
    requestStream: false,
    responseStream: false,
    requestSerialize: keep,
    requestDeserialize: keep,
    responseSerialize: keep,
    responseDeserialize: keep,
  };
  server.addService(
    { Export: method },
    {
      Export: ((call, callback) => {
        receiver.headers.push(call.metadata);
        receiver.take(call.request);
        callback(null, Buffer.alloc(0));
      }) satisfies grpc.handleUnaryCall<Buffer, Buffer>,
    },
  );
  const pair = tls && { cert_chain: Buffer.from(tls.certificate), private_key: Buffer.from(tls.key) };
  const credentials =
    tls === undefined
      ? grpc.ServerCredentials.createInsecure()
      : grpc.ServerCredentials.createSsl(Buffer.from(tls.authority), [pair!], true);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  const receiver = new OtlpReceiver(tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`);
  defer(t, () => server.forceShutdown());
  return receiver;
}

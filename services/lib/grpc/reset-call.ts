import http2, { type Http2Stream } from 'node:http2';
import type { Metadata } from '@grpc/grpc-js';

interface Layer {
  readonly nextCall?: Layer;
  readonly stream?: Http2Stream;
  readonly metadata?: Metadata;
}

function lowest(call: Layer): Layer {
  let layer = call;
  while (layer.nextCall !== undefined) layer = layer.nextCall;
  return layer;
}

/** The HTTP/2 stream below the layers of a server's call; grpc-js has no public way to it. */
export function streamOf(call: object): Http2Stream | undefined {
  return lowest(call).stream;
}

/** What a call's client sent before its request, at the time when only that is there. */
export function metadataOf(call: object): Metadata | undefined {
  return lowest(call).metadata;
}

/**
 * Ends a server's call at once, with what it has written and its client has not read. An error that is emitted on a
 * call waits for that client for ever; grpc-js has no public way past it. A client sees RESOURCE_EXHAUSTED.
 */
export function resetCall(call: object): void {
  const stream = streamOf((call as { call?: object }).call ?? {});
  if (stream !== undefined && !stream.destroyed) stream.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

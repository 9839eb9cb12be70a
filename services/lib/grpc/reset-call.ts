import http2, { type Http2Stream } from 'node:http2';

interface Layer {
  readonly nextCall?: Layer;
  readonly stream?: Http2Stream;
}

/**
 * Ends a server's call at once, with what it has written and its client has not read. An error that is emitted on a call
 * waits for that client for ever; grpc-js has no public way past it. A client sees RESOURCE_EXHAUSTED.
 */
export function resetCall(call: object): void {
  let layer = (call as { call?: Layer }).call;
  while (layer?.nextCall !== undefined) layer = layer.nextCall;
  const stream = layer?.stream;
  if (stream !== undefined && !stream.destroyed) stream.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

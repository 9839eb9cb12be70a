import type { Metadata } from '@grpc/grpc-js';
import { TRACEPARENT } from '../telemetry/names.js';
import { traceIdOf, validTraceparent } from '../telemetry/tracing.js';
import type { Identity } from './identity.js';

/** What a caller says of its call, for those who look for it later; nothing is decided by it. */
export interface Said {
  /** `x-request-id`; empty: none. */
  readonly requestId: string;
  /** Empty: none. */
  readonly traceId: string;
}

/** A call that was not served. */
export interface RefusedCall {
  /** Such as `/ssom.alert.v1.AlertService/CreateAlert`. */
  readonly path: string;
  /** The address that it came from. */
  readonly peer: string;
  /** Undefined: nobody who could be believed. */
  readonly identity: Identity | undefined;
  /** What the caller sent with it; saidBy reads it. */
  readonly metadata: Metadata;
}

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;

export function saidBy(metadata: Metadata): Said {
  const requestIds = metadata.get('x-request-id');
  const requestId = requestIds.length === 1 ? requestIds[0]!.toString() : '';
  return {
    requestId: REQUEST_ID.test(requestId) ? requestId : '',
    traceId: traceIdOf(callersTraceparent(metadata)) ?? '',
  };
}

/** What a caller says of its trace; nothing if it says it twice, or in a way that nobody understands. */
export function callersTraceparent(metadata: Metadata): string | undefined {
  const values = metadata.get(TRACEPARENT);
  return values.length === 1 ? validTraceparent(values[0]!.toString()) : undefined;
}

/** An address without its port: `10.0.0.7` of `10.0.0.7:50123` and `::1` of `[::1]:50123`. */
export function addressOf(peer: string): string {
  return /^\[?(.+?)\]?:\d+$/.exec(peer)?.[1] ?? peer;
}

import type { Config } from '../config/load.js';

export type OtlpConfig = Pick<
  Config,
  | 'otelSdkDisabled'
  | 'otlpEndpoint'
  | 'otlpTracesEndpoint'
  | 'otlpMetricsEndpoint'
  | 'otlpProtocol'
  | 'otlpTracesProtocol'
  | 'otlpMetricsProtocol'
>;

/** Where a signal goes, and how. */
export interface OtlpTarget {
  readonly protocol: 'grpc' | 'http/protobuf';
  readonly url: string;
}

/** @returns undefined if there is nowhere to send it to, or nothing is to be sent */
export function otlpTarget(config: OtlpConfig, signal: 'traces' | 'metrics'): OtlpTarget | undefined {
  if (config.otelSdkDisabled) return undefined;
  const own = signal === 'traces' ? config.otlpTracesEndpoint : config.otlpMetricsEndpoint;
  const protocol =
    (signal === 'traces' ? config.otlpTracesProtocol : config.otlpMetricsProtocol) || config.otlpProtocol;
  if (own !== '') return { protocol, url: own };
  const { otlpEndpoint } = config;
  if (otlpEndpoint === '') return undefined;
  // By the specification: a signal's own endpoint is used as it is, the common one is a base over HTTP.
  const url = protocol === 'grpc' ? otlpEndpoint : `${otlpEndpoint.replace(/\/$/, '')}/v1/${signal}`;
  return { protocol, url };
}

/** What librdkafka's statistics say of a client, every 5 s; the parts that are read. */
export interface ClientStatistics {
  /** Records in its queue, those on their way included. */
  readonly msg_cnt?: number;
  /** It will never work again. */
  readonly fatal?: { readonly reason: string };
  readonly brokers?: Readonly<Record<string, { readonly rtt?: Window }>>;
  readonly topics?: Readonly<
    Record<
      string,
      {
        /** Bytes, and records. */
        readonly batchsize?: Window;
        readonly batchcnt?: Window;
        readonly partitions?: Readonly<Record<string, PartitionStatistics>>;
      }
    >
  >;
}

/** A figure since the statistics before. */
interface Window {
  readonly cnt: number;
  readonly avg: number;
  readonly p50: number;
  readonly p99: number;
}

/** -1 and below: not known. */
export interface PartitionStatistics {
  readonly partition: number;
  readonly consumer_lag: number;
  /** Behind the last record that was handed out. */
  readonly app_offset: number;
  readonly lo_offset: number;
  readonly hi_offset: number;
  /** Bytes that were fetched and not handed out. */
  readonly fetchq_size: number;
}

/** Seconds from a request to its answer. */
export interface RequestTimes {
  readonly p50: number;
  readonly p99: number;
}

export const NO_REQUESTS: RequestTimes = { p50: 0, p99: 0 };

/** Those of the broker that was slowest; undefined if none was asked. */
export function requestTimes({ brokers = {} }: ClientStatistics): RequestTimes | undefined {
  const windows = Object.values(brokers).flatMap(({ rtt }) => (rtt === undefined || rtt.cnt === 0 ? [] : [rtt]));
  if (windows.length === 0) return undefined;
  // In microseconds.
  return {
    p50: Math.max(...windows.map(({ p50 }) => p50)) / 1e6,
    p99: Math.max(...windows.map(({ p99 }) => p99)) / 1e6,
  };
}

/** What a batch held on the average. */
export interface BatchMeans {
  readonly bytes: number;
  readonly records: number;
}

/** By topic; only of topics to which something was sent. */
export function batchMeans({ topics = {} }: ClientStatistics): Map<string, BatchMeans> {
  const means = new Map<string, BatchMeans>();
  for (const [topic, { batchsize, batchcnt }] of Object.entries(topics)) {
    if (batchsize === undefined || batchcnt === undefined || batchcnt.cnt === 0) continue;
    means.set(topic, { bytes: batchsize.avg, records: batchcnt.avg });
  }
  return means;
}

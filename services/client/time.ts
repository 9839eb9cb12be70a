import type { Long } from '@grpc/proto-loader';

/** A time as the protocol has it, since 1970. */
interface Timestamp {
  readonly seconds: number | string | Long;
  readonly nanos?: number;
}

/** When something happened: a Date, text of RFC 3339 (`2026-01-31T09:30:00+09:00`), or seconds and nanos since 1970. */
export type Time = Date | string | Timestamp;

/** RFC 3339, as proto3 JSON has it: seconds, up to nine digits behind the point, and an offset. */
const RFC_3339 = /^(\d{4})-(\d\d)-(\d\d)T\d\d:\d\d:\d\d(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;

/** @returns undefined for what is no time of RFC 3339, or on no day of the calendar */
export function parseRfc3339(text: string): { seconds: number; nanos: number } | undefined {
  const match = RFC_3339.exec(text);
  const ms = match === null ? Number.NaN : Date.parse(text);
  if (match === null || Number.isNaN(ms)) return undefined;
  // Date.parse takes 30 February for 2 March.
  const lastDay = new Date(Date.UTC(Number(match[1]), Number(match[2]), 0)).getUTCDate();
  if (Number(match[3]) > lastDay) return undefined;
  return { seconds: Math.floor(ms / 1000), nanos: Number((match[4] ?? '').padEnd(9, '0')) };
}

import { InvalidArgumentError } from 'commander';
import { wallClock } from '../../lib/wall-clock.js';

/** Whether a time says how it relates to UTC: by Z, or an offset behind its hours. */
export function hasZone(value: string): boolean {
  return /(Z|GMT|UTC|:\d\d(\.\d+)?\s?[+-]\d\d:?\d\d)\)?$/i.test(value);
}

/** It would be read by this machine's zone, which need not be the one that was meant. */
export function zoneMissing(value: string): string {
  return `It has no time zone: ${value}Z is UTC, ${value}+09:00 is Seoul.`;
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `2026-11-22T10:00:00Z`, or `30m`, `2h`, `7d` ago, as milliseconds since 1970. */
export function parseTime(value: string, _before?: unknown, now = wallClock()): number {
  const ago = /^(\d+)([smhd])$/.exec(value);
  const at = ago === null ? Date.parse(value) : now - Number(ago[1]) * UNITS[ago[2]!]!;
  if (ago === null && !Number.isNaN(at) && !hasZone(value)) throw new InvalidArgumentError(zoneMissing(value));
  if (Number.isNaN(at)) {
    throw new InvalidArgumentError('It must be a time like 2026-11-22T10:00:00Z, or 30m, 2h, 7d ago.');
  }
  return at;
}

import { InvalidArgumentError } from 'commander';
import { wallClock } from '../lib/wall-clock.js';

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `2026-11-22T10:00:00Z`, or `30m`, `2h`, `7d` ago, as milliseconds since 1970. */
export function parseTime(value: string, _before?: unknown, now = wallClock()): number {
  const ago = /^(\d+)([smhd])$/.exec(value);
  const at = ago === null ? Date.parse(value) : now - Number(ago[1]) * UNITS[ago[2]!]!;
  if (Number.isNaN(at)) {
    throw new InvalidArgumentError('It must be a time like 2026-11-22T10:00:00Z, or 30m, 2h, 7d ago.');
  }
  return at;
}

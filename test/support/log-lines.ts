import { pino } from 'pino';
import { describeError, type Logger } from '../../services/lib/logging.js';

export type LogLine = Readonly<Record<string, unknown>> & { readonly level: number; readonly msg: string };

/** A logger from info on, and what it was told so far: warnings have level 40, errors 50. */
export function logLines(): { logger: Logger; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line) as LogLine);
  return { logger: pino({ serializers: { err: describeError } }, { write }), lines };
}

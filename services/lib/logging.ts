import { type Logger, pino } from 'pino';
import { MOVES_TERMINAL } from '../domain/text.js';
import type { Config } from './config/load.js';
import { withoutSecrets } from './secrets.js';

export type { Logger } from 'pino';

/**
 * A logger that writes to standard error: JSON lines, or for people on a terminal. Every line names the role.
 */
export function createLogger(config: Pick<Config, 'logLevel' | 'logFormat'>, role: string): Logger {
  const pretty = config.logFormat === 'pretty' || (config.logFormat === 'auto' && process.stderr.isTTY);
  const options = {
    level: config.logLevel,
    base: { role },
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: describeError },
    hooks: { streamWrite: (line: string) => harmless(withoutSecrets(line), pretty) },
  };
  if (!pretty) return pino(options, pino.destination(2));
  return pino({
    ...options,
    transport: {
      target: 'pino-pretty',
      options: { destination: 2, ignore: 'pid,hostname', translateTime: 'HH:MM:ss.l' },
    },
  });
}

/** In JSON, where a line break and a tab may stay; a pair of backslashes is passed by. */
const ESCAPE = /\\(?:(u00[01][0-9a-f]|[bfr])|.)/g;

/**
 * A line of JSON with nothing that a terminal would obey: neither in the line, which says the same as before, nor,
 * `forPeople`, in what it says.
 */
function harmless(line: string, forPeople: boolean): string {
  const slashes = forPeople ? '\\\\' : '\\';
  const shown = forPeople
    ? line.replace(ESCAPE, (escape, moves) => (moves === undefined ? escape : `\\${escape}`))
    : line;
  const code = (char: string) => char.charCodeAt(0).toString(16).padStart(4, '0');
  return `${shown.trimEnd().replace(MOVES_TERMINAL, (char) => `${slashes}u${code(char)}`)}\n`;
}

/** What PostgreSQL adds to an error that quotes a row: messages of alerts, tokens of devices. */
const QUOTING = ['detail', 'where', 'hint', 'internalQuery'];

/**
 * What was thrown, without what it quotes. Anything can be thrown; describing it must never fail, or its line were
 * lost.
 */
export function describeError(error: unknown): object {
  const type = error === null ? 'null' : typeof error;
  if (type !== 'object') return { type, message: String(error) };
  try {
    const described = pino.stdSerializers.err(error as Error);
    return Object.fromEntries(Object.entries(described).filter(([name]) => !QUOTING.includes(name)));
  } catch (failure) {
    // The serializer writes into it, and reads all of it: one that is frozen, or has a getter that throws.
    return { type, message: `an error that cannot be described: ${String(failure)}` };
  }
}

/** A logger that says nothing, for tests and tools. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}

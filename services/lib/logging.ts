import { type Logger, pino } from 'pino';
import type { Config } from './config/load.js';

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

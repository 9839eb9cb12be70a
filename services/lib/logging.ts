import { pino, type Logger } from 'pino';
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

/** An error without what it quotes. */
function describeError(error: Error): object {
  const described = pino.stdSerializers.err(error);
  const rest = Object.entries(described).filter(([name]) => !QUOTING.includes(name));
  return Object.fromEntries(rest);
}

/** A logger that says nothing, for tests and tools. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}

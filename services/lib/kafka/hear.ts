import type { Logger } from '../logging.js';

/**
 * Calls who listens to an event of a client. What it throws is logged: nothing above would catch it, and the process
 * would end.
 */
export function hear(logger: Logger, event: string, listener: () => void): void {
  try {
    listener();
  } catch (error) {
    logger.error({ err: error, event }, 'an event of the Kafka client was not handled');
  }
}

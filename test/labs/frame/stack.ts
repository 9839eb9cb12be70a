import type { Kafka } from '#stack';
import { type Broker, Stack, type StackOptions } from '../../support/stack.js';

/**
 * Starts a private copy of the real stack, and stops it with all roles on it, however `use` ends.
 * @throws what `use` throws; else that a role did not end in order
 */
export async function withStack<T, K extends Broker = Kafka>(
  options: StackOptions<K>,
  use: (stack: Stack<K>) => Promise<T>,
): Promise<T> {
  const stack = await Stack.start(options);
  let result: T;
  try {
    result = await use(stack);
  } catch (error) {
    await stack.stop().catch(() => undefined);
    throw error;
  }
  await stack.stop();
  return result;
}

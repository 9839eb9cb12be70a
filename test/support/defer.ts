import type { TestContext } from 'node:test';

type Close = () => unknown;

const stacks = new WeakMap<TestContext, Close[]>();

/**
 * Like `t.after`, but what was opened last is closed first (Node runs `t.after` in the order of registration), and one
 * failure does not keep the rest open.
 */
export function defer(t: TestContext, close: Close): void {
  const stack = stacks.get(t);
  if (stack !== undefined) {
    stack.push(close);
    return;
  }
  const closers = [close];
  stacks.set(t, closers);
  t.after(async () => {
    const failures: unknown[] = [];
    for (let next = closers.pop(); next !== undefined; next = closers.pop()) {
      try {
        await next();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'what the test opened could not be closed');
  });
}

import assert from 'node:assert/strict';
import test from 'node:test';
import { GatheredLog } from '../../../services/lib/gathered-log.js';

test('a crowd of warnings is one line at once, then one a second with the count of the rest', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const lines: unknown[] = [];
  const log = new GatheredLog({ warn: (...line: unknown[]) => void lines.push(line) }, 'not published', 'alerts');
  const note = (count: number, id: number) => log.warn(count, () => ({ id }));
  note(1, 1);
  assert.deepEqual(lines.splice(0), [[{ id: 1, alerts: 1 }, 'not published']], 'the first is not held back');
  for (let id = 2; id <= 500; id += 1) note(2, id);
  t.mock.timers.tick(999);
  assert.deepEqual(lines, []);
  t.mock.timers.tick(1);
  assert.deepEqual(lines.splice(0), [[{ id: 500, alerts: 998 }, 'not published']], 'none is left out of the count');
  t.mock.timers.tick(1000);
  assert.deepEqual(lines, [], 'without news there is no line');
  note(1, 501);
  assert.deepEqual(lines.splice(0), [[{ id: 501, alerts: 1 }, 'not published']]);
  note(4, 502);
  log.flush();
  assert.deepEqual(lines, [[{ id: 502, alerts: 4 }, 'not published']], 'what is left is told at the end');
});

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'node:test';
import { pino } from 'pino';
import { describeError } from '../../../services/lib/logging.js';
import { ROOT } from '../../../services/lib/root.js';

/** What a line has under `err`. */
function logged(thrown: unknown): Record<string, unknown> {
  let line = '';
  const logger = pino({ serializers: { err: describeError } }, { write: (text: string) => void (line = text) });
  logger.warn({ err: thrown }, 'it failed');
  const { err, msg } = JSON.parse(line) as { err: Record<string, unknown>; msg: string };
  assert.equal(msg, 'it failed');
  return err;
}

test('an error is logged with what it is, and without what PostgreSQL quotes in it', () => {
  const error = Object.assign(new RangeError('too far'), {
    code: '23505',
    detail: 'Key (token)=(secret)',
    where: 'row',
  });
  const { type, message, code, stack, ...rest } = logged(error);
  assert.deepEqual([type, message, code], ['RangeError', 'too far', '23505']);
  assert.match(String(stack), /^RangeError: too far\n +at /);
  assert.deepEqual(rest, {});
});

const unreadable = Object.defineProperty({}, 'message', {
  enumerable: true,
  get: () => {
    throw new Error('not for you');
  },
});

for (const [what, thrown, expected] of [
  ['null', null, { type: 'null', message: 'null' }],
  ['a string', 'it broke', { type: 'string', message: 'it broke' }],
  ['a number', 7, { type: 'number', message: '7' }],
  ['a symbol', Symbol('odd'), { type: 'symbol', message: 'Symbol(odd)' }],
  ['an object that is no error', { code: 7, detail: 'secret' }, { code: 7 }],
  ['an object without a prototype', Object.assign(Object.create(null), { code: 7 }), { code: 7 }],
  [
    'an object that throws when it is read',
    unreadable,
    { type: 'object', message: 'an error that cannot be described: Error: not for you' },
  ],
] as const)
  test(`${what} is logged as what it is`, () => assert.deepEqual(logged(thrown), expected));

test('an error that is frozen does not lose its line', () => {
  assert.match(String(logged(Object.freeze(new Error('cold')))['message']), /cannot be described/);
});

/** All that a terminal obeys, and what it does not. */
const HOSTILE = 'a\u001b[31m\r\u0007\u007f\u009b2J\u202e\u2066\u2028b\\u001b\n\tc 김서연';
const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

function written(logFormat: string): string {
  const module = join(ROOT, '.build', 'services', 'lib', 'logging.js');
  const script = `import { createLogger } from ${JSON.stringify(module)};
    const logger = createLogger({ logLevel: 'info', logFormat: '${logFormat}' }, 'test');
    const hostile = ${JSON.stringify(HOSTILE)};
    logger.info({ user: hostile, err: new Error(hostile) }, hostile);`;
  const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  return stderr;
}

test('a terminal that shows the log obeys nothing in it', () => {
  const json = written('json');
  assert.doesNotMatch(json, OBEYED);
  const { msg, user, err } = JSON.parse(json) as { msg: string; user: string; err: { message: string } };
  assert.deepEqual([msg, user, err.message], [HOSTILE, HOSTILE, HOSTILE], 'programs read what was meant');
  const pretty = written('pretty');
  assert.doesNotMatch(pretty, OBEYED);
  assert.match(pretty, /a\\u001b\[31m\\r\\u0007\\u007f\\u009b2J\\u202e\\u2066\\u2028b\\u001b\n *\tc 김서연/);
});

import assert from 'node:assert/strict';
import test from 'node:test';
import type { Queryable } from '../../../services/lib/postgres.js';
import { StreamOpenings } from '../../../services/stream-gateway/stream-openings.js';

/** A directory in which only `known` are; each statement waits until it is let go. */
function directory(known: ReadonlySet<string>) {
  const statements: { userIds: readonly string[]; answer: (error?: Error) => void }[] = [];
  const query = ({ values }: { values: [string[]] }) =>
    new Promise((resolve, reject) => {
      const [userIds] = values;
      const rows = userIds
        .filter((userId) => known.has(userId))
        .map((user_id) => ({ user_id, active: true, epoch: 7, last_seq: null, pruned_seq: null, unread_count: null }));
      const answer = (error?: Error) =>
        error === undefined ? resolve({ rows, rowCount: rows.length }) : reject(error);
      statements.push({ userIds, answer });
    });
  return { statements, database: { query } as unknown as Queryable };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const ids = (count: number) => Array.from({ length: count }, (_, index) => `user-${index}`);

test('those who come while statements run share the next one', async () => {
  const users = ids(400);
  const { statements, database } = directory(new Set(users));
  const openings = new StreamOpenings(database, 1000);
  const found = users.slice(0, 100).map((userId) => openings.find(userId));
  await turn();
  assert.deepEqual(
    statements.map(({ userIds }) => userIds.length),
    [100],
  );
  found.push(...users.slice(100).map((userId) => openings.find(userId)));
  await turn();
  assert.deepEqual(
    statements.map(({ userIds }) => userIds.length),
    [100, 300],
  );
  for (const { answer } of statements) answer();
  const all = await Promise.all(found);
  assert.ok(all.every((opening) => opening?.epoch === 7 && opening.inbox.lastSequence === 0));
  assert.equal(openings.waiting, 0);
});

test('at most two statements at once, of at most 500 users; nobody is forgotten', async () => {
  const users = ids(2200);
  const { statements, database } = directory(new Set(users));
  const openings = new StreamOpenings(database, 5000);
  const found = Promise.all(users.map((userId) => openings.find(userId)));
  for (let answered = 0; answered < 5; answered += 1) {
    await turn();
    assert.ok(statements.length - answered <= 2);
    statements[answered]!.answer();
    await turn();
  }
  assert.ok((await found).every((opening) => opening !== undefined));
  assert.ok(statements.every(({ userIds }) => userIds.length <= 500));
});

test('an unknown user is undefined, and two streams of one user are both answered', async () => {
  const { statements, database } = directory(new Set(['twin']));
  const openings = new StreamOpenings(database, 10);
  const found = ['twin', 'nobody', 'twin'].map((userId) => openings.find(userId));
  await turn();
  statements[0]!.answer();
  assert.deepEqual(
    (await Promise.all(found)).map((opening) => opening?.active),
    [true, undefined, true],
  );
});

test('a statement that fails refuses those who waited for it, and the next ones are looked up', async () => {
  const { statements, database } = directory(new Set(['a', 'b']));
  const openings = new StreamOpenings(database, 10);
  const first = openings.find('a');
  await turn();
  statements[0]!.answer(new Error('away'));
  await assert.rejects(first, /away/);
  const second = openings.find('b');
  await turn();
  statements[1]!.answer();
  assert.equal((await second)?.active, true);
});

test('one more than may wait is refused: RESOURCE_EXHAUSTED, with a time to come back', () => {
  const { database } = directory(new Set());
  const openings = new StreamOpenings(database, 2);
  void openings.find('a');
  void openings.find('b');
  assert.throws(() => openings.find('c'), {
    code: 'RESOURCE_EXHAUSTED',
    reason: 'TOO_MANY_STREAMS',
    retryAfterMs: 2000,
  });
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { SharedRoom } from '../../../services/lib/shared-room.js';

function fill(room: SharedRoom, caller: string): (() => void)[] {
  const taken: (() => void)[] = [];
  while (!room.isFullFor(caller)) taken.push(room.take(caller, 1));
  return taken;
}

test('one has half of it, then another half of the rest, and a newcomer finds some', () => {
  const room = new SharedRoom(64);
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((caller) => fill(room, caller).length),
    [32, 16, 8, 4],
  );
  assert.equal(room.taken, 60);
  assert.equal(room.isFullFor('newcomer'), false);
});

test('what is given back is there for others, and nothing is kept of who has left', () => {
  const room = new SharedRoom(10);
  const [first, ...rest] = fill(room, 'a');
  assert.equal(room.takenBy('a'), 5);
  const leave = room.take('b', 100);
  assert.equal(room.isFullFor('newcomer'), true);
  leave();
  first!();
  assert.deepEqual([room.taken, room.takenBy('a'), room.takenBy('b')], [4, 4, 0]);
  assert.equal(room.isFullFor('a'), false);
  for (const each of rest) each();
  assert.deepEqual([room.taken, room.takenBy('a')], [0, 0]);
});

test('what is large leaves as much as its caller then has, so that a newcomer with something small finds room', () => {
  const room = new SharedRoom(64);
  const fillWith = (caller: string, amount: number) => {
    let count = 0;
    while (room.hasRoomFor(caller, amount)) {
      room.take(caller, amount);
      count += 1;
    }
    return count;
  };
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((caller) => fillWith(caller, 16)),
    [2, 1, 0, 0],
  );
  assert.equal(fillWith('newcomer', 1), 8);
});

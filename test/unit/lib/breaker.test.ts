import assert from 'node:assert/strict';
import test from 'node:test';
import { Breaker, type BreakerState, CircuitOpen } from '../../../services/lib/breaker.js';
import { defer } from '../../support/defer.js';
import { untilTrue } from '../../support/until-true.js';

const away = Object.assign(new Error('away'), { code: 'ECONNREFUSED' });
const wrong = new Error('wrong');

test('failures of the other side open it; then nobody asks, until one call gets through', async (t) => {
  const states: BreakerState[] = [];
  const breaker = new Breaker({
    what: 'it',
    isOutage: (error) => error === away,
    onChange: (state) => states.push(state),
  });
  defer(t, () => breaker.close());
  let asked = 0;
  let answer: () => Promise<number> = () => Promise.reject(away);
  const call = () =>
    breaker.run(() => {
      asked += 1;
      return answer();
    });
  for (let count = 0; count < 5; count += 1) await assert.rejects(call(), away);
  assert.equal(breaker.state, 'open');
  await assert.rejects(call(), CircuitOpen);
  assert.equal(asked, 5, 'an open breaker asks nothing');
  await untilTrue(() => breaker.state === 'half-open', { what: 'half open' });
  await assert.rejects(call(), away);
  assert.equal(breaker.state, 'open');
  answer = () => Promise.resolve(7);
  await untilTrue(() => breaker.state === 'half-open', { what: 'half open again' });
  assert.equal(await call(), 7);
  assert.equal(breaker.state, 'closed');
  assert.deepEqual(states, ['open', 'half-open', 'open', 'half-open', 'closed']);
});

test('errors of a call are its own: they never open it', async (t) => {
  const breaker = new Breaker({ what: 'it', isOutage: (error) => error === away });
  defer(t, () => breaker.close());
  for (let count = 0; count < 50; count += 1)
    await assert.rejects(
      breaker.run(() => Promise.reject(wrong)),
      wrong,
    );
  assert.equal(breaker.state, 'closed');
});

test('it is shown as open while the call that tries it hangs, and as half open when nobody calls', async (t) => {
  const breaker = new Breaker({ what: 'it', isOutage: (error) => error === away });
  defer(t, () => breaker.close());
  const failed = () => assert.rejects(breaker.run(() => Promise.reject(away)));
  const tried = () => untilTrue(() => breaker.state === 'half-open', { what: 'half open' });
  const ends: ((error?: Error) => void)[] = [];
  const hangs = () =>
    new Promise<void>((resolve, reject) => ends.push((error) => (error === undefined ? resolve() : reject(error))));
  for (let count = 0; count < 5; count += 1) await failed();
  assert.equal(breaker.shownState, 'open');

  await tried();
  assert.equal(breaker.shownState, 'half-open', 'nobody calls');
  const refuses = () => breaker.refusal !== undefined;
  assert.equal(refuses(), false, 'one may try it');
  const trial = assert.rejects(breaker.run(hangs), away);
  assert.equal(breaker.shownState, 'open');
  await assert.rejects(
    breaker.run(() => Promise.resolve()),
    CircuitOpen,
  );
  assert.equal(refuses(), true, 'so nobody waits to be refused');
  ends[0]!(away);
  await trial;
  assert.equal(breaker.shownState, 'open');

  // Somebody else finds that it is well, before the trial has ended.
  await tried();
  const second = breaker.run(hangs);
  breaker.recovered();
  assert.equal(breaker.shownState, 'closed');
  for (let count = 0; count < 20; count += 1) await failed().catch(() => undefined);
  await tried();
  assert.equal(breaker.shownState, 'half-open', 'the old trial is none of this time');
  ends[1]!();
  await second;
});

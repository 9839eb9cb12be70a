import assert from 'node:assert/strict';
import test from 'node:test';
import { characters, isBlank, onOneLine, shorten } from '../../../services/domain/text.js';

const FAMILY = '👨‍👩‍👧‍👦';

test('a text is cut between grapheme clusters, to at most so many characters with the sign', () => {
  assert.equal(shorten('abcdef', 6), 'abcdef');
  assert.equal(shorten('abcdefg', 6), 'abcde…');
  // Seven code points each: the second would be cut.
  assert.equal(shorten(`ab${FAMILY}${FAMILY}cd`, 14), `ab${FAMILY}…`);
  assert.equal(shorten('한e\u0301e\u0301e\u0301', 5), '한e\u0301…');
  assert.equal(shorten('한e\u0301e\u0301e\u0301', 6), '한e\u0301e\u0301…');
  assert.equal(shorten('a\r\nb\r\nc', 4), 'a…');
  assert.equal(shorten('one two three', 9), 'one two…');
});

test('a cluster without an end is cut all the same', () => {
  const zalgo = `e${'\u0301'.repeat(5000)}`;
  const cut = shorten(zalgo, 200);
  assert.equal(characters(cut), 200);
  assert.ok(shorten('😀'.repeat(300), 200).isWellFormed(), 'a half of a character was left');
});

test('however long a text is, only what is around the cut is looked at', () => {
  const text = FAMILY.repeat(30_000);
  const started = performance.now();
  for (let times = 0; times < 20; times += 1) assert.ok(shorten(text, 16_384).endsWith('…'));
  // Segmenting the whole text takes about 50 ms each time; counting its characters 2 ms.
  assert.ok(performance.now() - started < 500, `${performance.now() - started} ms`);
});

test('one line', () => {
  assert.equal(onOneLine('plain  text '), 'plain  text ');
  assert.equal(onOneLine('a\nb\r\n\tc\u0007\0d'), 'a b c d');
});

test('what cannot be seen', () => {
  for (const text of ['', ' \n', '\u200b', '\u2060\u00ad', '\u115f\u3164'])
    assert.ok(isBlank(text), JSON.stringify(text));
  for (const text of ['a', '\u200bx', '0', '\ufffd', '👍']) assert.ok(!isBlank(text), JSON.stringify(text));
});

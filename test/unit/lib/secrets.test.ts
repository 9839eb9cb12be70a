import assert from 'node:assert/strict';
import test from 'node:test';
import { keepSecret, withoutSecrets } from '../../../services/lib/secrets.js';

const encodings: readonly [string, (secret: string) => string][] = [
  ['as it is', (secret) => secret],
  ['in JSON', (secret) => JSON.stringify({ secret })],
  ['in a URL', (secret) => `/x?key=${encodeURIComponent(secret)}`],
  ['in base64', (secret) => Buffer.from(secret).toString('base64')],
  ['in base64 behind one letter', (secret) => Buffer.from(`u:${secret}`).toString('base64')],
  ['in base64 behind a name', (secret) => Buffer.from(`user:${secret}:more`).toString('base64')],
];

test('a secret that is kept is left out of a text in whichever form it is there', () => {
  const secret = 'correct horse/"+battery';
  keepSecret(secret);
  for (const [where, encode] of encodings) {
    const said = withoutSecrets(`before ${encode(secret)} after`);
    assert.match(said, /^before .*\(secret\).* after$/, where);
    const read = [said, ...said.split(/[ ()]/).map((word) => Buffer.from(word, 'base64').toString())];
    assert.ok(!read.some((text) => text.includes('horse')), `${where}: ${said}`);
  }
});

test("the password of a database's URL is kept by itself", () => {
  keepSecret('postgres://alerts:p%2Fssw0rd-of-the-database@db:5432/ssom');
  assert.equal(withoutSecrets('refused: p/ssw0rd-of-the-database'), 'refused: (secret)');
  assert.equal(withoutSecrets('refused: p%2Fssw0rd-of-the-database'), 'refused: (secret)');
});

test('what only secrets look like is left out, and what is none stays', () => {
  assert.equal(withoutSecrets('at http://user:pass@host/x'), 'at http://(secret)@host/x');
  assert.equal(withoutSecrets('"authorization":"Bearer abcdefghijkl"'), '"authorization":"Bearer (secret)"');
  assert.equal(withoutSecrets('got eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln and'), 'got (secret) and');
  keepSecret('ssom');
  for (const text of ['ssom-alert', 'a@b.c', 'http://host/a@b', 'the basic test', 'bearer of news', 'eyJust looking'])
    assert.equal(withoutSecrets(text), text);
});

test('of very many secrets the last hundred are kept', () => {
  for (let number = 0; number < 150; number += 1) keepSecret(`password number ${number}!`);
  assert.equal(withoutSecrets('password number 149!'), '(secret)');
  assert.equal(withoutSecrets('password number 50!'), '(secret)');
  assert.equal(withoutSecrets('password number 49!'), 'password number 49!');
});

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import test from 'node:test';
import { keepSecret, keepSecretOf, withoutSecrets } from '../../../services/lib/secrets.js';

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

test('a private key is left out wherever it ends, with its lines as they are or in JSON', () => {
  const pem = `-----BEGIN EC PRIVATE KEY-----\n${'MHcCAQEEIO+/a=\n'.repeat(3)}-----END EC PRIVATE KEY-----`;
  const cut = pem.slice(0, -30);
  assert.equal(withoutSecrets(`key ${pem} refused`), 'key (secret) refused');
  assert.equal(withoutSecrets(JSON.stringify({ key: pem, id: 7 })), '{"key":"(secret)","id":7}');
  assert.equal(withoutSecrets(JSON.stringify(JSON.stringify({ cut }))), String.raw`"{\"cut\":\"(secret)\"}"`);
});

test('of what was in a file the last three secrets are kept, and what was given once for good', () => {
  keepSecret('password that was given');
  for (let number = 0; number < 150; number += 1) keepSecretOf('/run/token', `password number ${number}!`);
  keepSecretOf('/run/token', 'password number 147!');
  keepSecretOf('/run/other', 'password of another file');
  assert.equal(withoutSecrets('password that was given'), '(secret)');
  assert.equal(withoutSecrets('password of another file'), '(secret)');
  for (const number of [147, 148, 149]) assert.equal(withoutSecrets(`password number ${number}!`), '(secret)');
  assert.equal(withoutSecrets('password number 146!'), 'password number 146!');
  keepSecretOf('/run/token', 'password number 150!');
  assert.equal(withoutSecrets('password number 148!'), 'password number 148!');
});

test('a file whose token is replaced all the time costs little: each new one, and each line', () => {
  const line = 'the Kafka consumer is replaced '.repeat(8);
  const token = () =>
    `eyJhbGciOiJSUzI1NiJ9.${randomBytes(700).toString('base64url')}.${randomBytes(256).toString('base64url')}`;
  const began = performance.now();
  for (let number = 0; number < 100; number += 1) {
    keepSecretOf('/run/jwt', token());
    withoutSecrets(line);
  }
  // Measured: 150 ms on a busy machine. One regular expression of them all takes 0.2 s for each.
  assert.ok(performance.now() - began < 2000);
});

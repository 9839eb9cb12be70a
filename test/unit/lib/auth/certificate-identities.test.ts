import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { CertificateIdentities } from '../../../../services/lib/auth/certificate-identities.js';
import { alternativeNames } from '../../../../services/lib/grpc/client-certificate.js';
import { silentLogger } from '../../../../services/lib/logging.js';
import { defer } from '../../../support/defer.js';

const SCOPES = ['alerts:create', 'inbox'];
const LATER = 4_000_000_000_000;

async function identities(t: TestContext, contents: unknown): Promise<CertificateIdentities> {
  const folder = await mkdtemp(join(tmpdir(), 'ssom-certificates-'));
  defer(t, () => rm(folder, { recursive: true }));
  const file = join(folder, 'services.json');
  await writeFile(file, typeof contents === 'string' ? contents : JSON.stringify(contents));
  return new CertificateIdentities(file, SCOPES, silentLogger());
}

const payments = { service: 'payments', scopes: ['alerts:create'] };

test('a certificate is the service of the first of its names that has a line, compared as a whole', async (t) => {
  const known = await identities(t, {
    'spiffe://ssom/payments': payments,
    'Billing.Internal': { service: 'billing', scopes: [] },
  });
  const identity = known.identityOf({ names: ['spiffe://ssom/other', 'spiffe://ssom/payments'], expiresAt: LATER });
  assert.deepEqual(identity, {
    kind: 'service',
    subject: 'payments',
    scopes: new Set(['alerts:create']),
    credential: 'mtls spiffe://ssom/payments',
    expiresAt: LATER,
  });
  assert.equal(known.identityOf({ names: ['billing.internal'], expiresAt: LATER }).subject, 'billing');
  for (const name of [
    'spiffe://ssom/payments/x',
    'spiffe://ssom/payment',
    'SPIFFE://ssom/payments',
    'x.billing.internal',
  ])
    assert.throws(() => known.identityOf({ names: [name], expiresAt: LATER }), {
      code: 'UNAUTHENTICATED',
      reason: 'CERTIFICATE_UNKNOWN',
      message: new RegExp(name),
    });
  assert.throws(() => known.identityOf({ names: [], expiresAt: LATER }), /which has no URI or DNS name/);
  assert.throws(() => known.identityOf({ names: ['billing.internal'], expiresAt: Date.now() }), {
    reason: 'CERTIFICATE_EXPIRED',
  });
});

test('what is wrong with the file is said with its name', async (t) => {
  const wrong: [unknown, RegExp][] = [
    ['{', /services\.json': /],
    [[], /services\.json': it is no JSON object/],
    [{ 'spiffe://ssom/*': payments }, /there are no wildcards/],
    [{ '1a:b': payments }, /is no URI and no DNS name/],
    [{ 'a b': payments }, /is no URI and no DNS name/],
    [{ a: { service: '', scopes: [] } }, /a\.service must be 1 to 128 printable/],
    [{ a: { service: 'x' } }, /a\.scopes must be a list/],
    [{ a: { service: 'x', scopes: ['alerts:crate'] } }, /a\.scopes has "alerts:crate"; there are alerts:create, inbox/],
    [{ a: { service: 'x', scopes: [], role: 1 } }, /a has the field 'role'; there are service, scopes/],
  ];
  for (const [contents, message] of wrong) await assert.rejects(identities(t, contents), message);
});

test('a name counts for its kind alone, and of a URI every letter does', async (t) => {
  const known = await identities(t, {
    'spiffe://ssom/payments': payments,
    'billing.internal': { service: 'billing', scopes: [] },
    'urn:Foo': { service: 'foo', scopes: [] },
  });
  const serviceOf = (text: string) => known.identityOf({ names: alternativeNames(text), expiresAt: LATER }).subject;
  for (const text of ['DNS:spiffe://ssom/payments', 'URI:billing.internal', 'DNS:urn:Foo', 'URI:urn:foo'])
    assert.throws(() => serviceOf(text), { reason: 'CERTIFICATE_UNKNOWN' }, text);
  assert.equal(serviceOf('URI:spiffe://ssom/payments'), 'payments');
  assert.equal(serviceOf('DNS:Billing.Internal'), 'billing');
  assert.equal(serviceOf('URI:urn:Foo'), 'foo');
});

test('names that could pass for several are nobody’s', () => {
  assert.deepEqual(alternativeNames('DNS:A.example, URI:spiffe://ssom/a, IP Address:1.2.3.4'), [
    'spiffe://ssom/a',
    'a.example',
  ]);
  assert.deepEqual(alternativeNames('URI:"spiffe://x/y, URI:spiffe://ssom/payments"'), []);
  assert.deepEqual(alternativeNames('DNS:"a\\", URI:spiffe://ssom/payments", DNS:b'), ['b']);
  assert.deepEqual(alternativeNames('DirName:"CN=x, URI:spiffe://ssom/payments, b", DNS:c'), ['c']);
  assert.deepEqual(alternativeNames('URI:spiffe://ssom/a, "'), []);
  assert.deepEqual(alternativeNames(undefined), []);
});

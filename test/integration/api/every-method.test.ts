import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import grpc from '@grpc/grpc-js';
import { api } from '../../../services/api/protos.js';
import { METHOD_SCOPES, methodPaths, SCOPES, scopesOf } from '../../../services/api/scopes.js';
import { statusDetails } from '../../../services/lib/grpc/status.js';
import { defer } from '../../support/defer.js';
import type { TestCluster } from '../../support/in-process.js';
import { startJwtCluster } from '../../support/jwt-cluster.js';
import { startMtlsCluster } from '../../support/mtls-cluster.js';
import { type SigningKey, signingKey, token } from '../../support/tokens.js';

type Definition = grpc.MethodDefinition<object, object>;

const METHODS = Object.values(api)
  .filter((member) => 'service' in member)
  .flatMap(({ service }) => Object.values(service as object as Record<string, Definition>));

interface Attempt {
  readonly who: string;
  readonly authorization: string | undefined;
  /** What the service must say, whatever the method. */
  readonly answer: string;
}

/** What a call is answered with, whatever it asks: `CODE REASON`, or OK. */
function ask(
  t: TestContext,
  address: string,
  method: Definition,
  authorization: string | undefined,
  request: object,
  credentials = grpc.credentials.createInsecure(),
): Promise<string> {
  const client = new grpc.Client(address, credentials);
  defer(t, () => client.close());
  const metadata = new grpc.Metadata();
  if (authorization !== undefined) metadata.set('authorization', authorization);
  const told = (error: grpc.ServiceError | null) =>
    error === null ? 'OK' : `${grpc.status[error.code]} ${statusDetails(error).reason ?? ''}`.trim();
  const { path, requestSerialize, responseDeserialize } = method;
  return new Promise((resolve) => {
    if (!method.responseStream) {
      const options = { deadline: Date.now() + 20_000 };
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, options, (error) =>
        resolve(told(error)),
      );
      return;
    }
    const stream = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, metadata);
    stream.once('data', () => {
      resolve('OK');
      stream.cancel();
    });
    stream.once('error', (error: grpc.ServiceError) => resolve(told(error)));
  });
}

/** Everybody who must not get in, and what each is told. */
async function attempts(key: SigningKey): Promise<Attempt[]> {
  const all = SCOPES.join(' ');
  const stranger = await signingKey('k1');
  const unknown = await signingKey('k9');
  const bearer = async (text: Promise<string>) => `Bearer ${await text}`;
  const refused = (reason: string) => `UNAUTHENTICATED ${reason}`;
  const service = { claims: { client_id: 'payments' } };
  return [
    { who: 'nobody', authorization: undefined, answer: refused('TOKEN_MISSING') },
    { who: 'basic', authorization: 'Basic b3AxOnB3', answer: refused('TOKEN_MISSING') },
    { who: 'rubbish', authorization: 'Bearer rubbish', answer: refused('TOKEN_MALFORMED') },
    { who: 'forged', authorization: await bearer(token(stranger, 'op1', all)), answer: refused('TOKEN_SIGNATURE') },
    { who: 'unknown key', authorization: await bearer(token(unknown, 'op1', all)), answer: refused('TOKEN_SIGNATURE') },
    {
      who: 'expired',
      authorization: await bearer(token(key, 'op1', all, { expiresInS: -60 })),
      answer: refused('TOKEN_EXPIRED'),
    },
    {
      who: 'another issuer',
      authorization: await bearer(token(key, 'op1', all, { claims: { iss: 'https://evil.example' } })),
      answer: refused('TOKEN_ISSUER'),
    },
    {
      who: 'for another service',
      authorization: await bearer(token(key, 'op1', all, { claims: { aud: 'payments' } })),
      answer: refused('TOKEN_AUDIENCE'),
    },
    {
      who: 'a user without scopes',
      authorization: await bearer(token(key, 'op1', '')),
      answer: 'PERMISSION_DENIED SCOPE_MISSING',
    },
    {
      who: 'a service without scopes',
      authorization: await bearer(token(key, 'payments', 'openid', service)),
      answer: 'PERMISSION_DENIED SCOPE_MISSING',
    },
  ];
}

/** Where each method is served. */
async function serve(cluster: TestCluster, tls?: grpc.ServerCredentials) {
  const options = tls === undefined ? {} : { tls };
  const [alertApi, gateway] = [
    await cluster.start('alert-api', options),
    await cluster.start('stream-gateway', options),
  ];
  return ({ path }: Definition) =>
    path.startsWith('/ssom.alert.v1.AlertStreamService/') ? gateway.address : alertApi.address;
}

async function start(t: TestContext) {
  const { cluster, key } = await startJwtCluster(t);
  const addressOf = await serve(cluster);
  return {
    key,
    ask: (method: Definition, authorization: string | undefined, request: object = {}) =>
      ask(t, addressOf(method), method, authorization, request),
  };
}

test('no method answers anybody who is not whom it is for', async (t) => {
  const { key, ask } = await start(t);
  const said: string[] = [];
  const wanted: string[] = [];
  for (const { who, authorization, answer } of await attempts(key)) {
    for (const method of METHODS) {
      wanted.push(`${method.path} ${who}: ${answer}`);
      said.push(`${method.path} ${who}: ${await ask(method, authorization)}`);
    }
  }
  assert.deepEqual(said, wanted);
  assert.ok(METHODS.length >= 18);
});

test('no method takes another scope for its own', async (t) => {
  const { key, ask } = await start(t);
  for (const method of METHODS) {
    const wrong = SCOPES.filter((scope) => !scopesOf(method.path).includes(scope)).join(' ');
    for (const claims of [{}, { client_id: 'op1' }]) {
      const answer = await ask(method, `Bearer ${await token(key, 'op1', wrong, { claims })}`);
      assert.equal(answer, 'PERMISSION_DENIED SCOPE_MISSING', `${method.path} with ${wrong}`);
    }
    for (const scope of scopesOf(method.path)) {
      const answer = await ask(method, `Bearer ${await token(key, 'op1', scope)}`);
      assert.doesNotMatch(answer, /UNAUTHENTICATED|PERMISSION_DENIED/, `${method.path} with ${scope}`);
    }
  }
});

test('no method answers a certificate that is not whom it is for, and a token counts more than one', async (t) => {
  const name = (scope: string) => `spiffe://ssom/with/${scope}`;
  const lines = [...SCOPES.map((scope) => [scope, [scope]] as const), ['nothing', []] as const];
  const services = Object.fromEntries(lines.map(([scope, scopes]) => [name(scope), { service: 'batch', scopes }]));
  const { certificates, cluster, key, tls } = await startMtlsCluster(t, services);
  const addressOf = await serve(cluster, tls);
  const credentials = (uri: string) => {
    const { certificate, key: own } = certificates.clientNamed(uri);
    const [authority, ...pair] = [certificates.authority, own, certificate].map((pem) => Buffer.from(pem));
    return grpc.credentials.createSsl(authority, ...pair);
  };
  const [unknown, nothing] = [credentials('spiffe://ssom/with'), credentials(name('nothing'))];
  const withScope = new Map(SCOPES.map((scope) => [scope, credentials(name(scope))]));
  const user = `Bearer ${await token(key, 'op1', 'inbox')}`;
  for (const method of METHODS) {
    const asked = async (shown: grpc.ChannelCredentials, authorization?: string) =>
      ask(t, addressOf(method).replace('127.0.0.1', 'localhost'), method, authorization, {}, shown);
    assert.equal(await asked(unknown), 'UNAUTHENTICATED CERTIFICATE_UNKNOWN', method.path);
    assert.equal(await asked(nothing), 'PERMISSION_DENIED SCOPE_MISSING', method.path);
    for (const [scope, shown] of withScope) {
      const mayCall = scopesOf(method.path).includes(scope);
      // Of a service with `inbox` alone nothing is one's own.
      const needsAdmin = mayCall && scope === 'inbox' && !method.path.endsWith('/GetAlert');
      const answer = await asked(shown);
      if (!mayCall || needsAdmin) assert.equal(answer, 'PERMISSION_DENIED SCOPE_MISSING', `${method.path} ${scope}`);
      else assert.doesNotMatch(answer, /UNAUTHENTICATED|PERMISSION_DENIED/, `${method.path} ${scope}`);
    }
    assert.equal(await asked(withScope.get('admin')!, 'Bearer rubbish'), 'UNAUTHENTICATED TOKEN_MALFORMED');
    const isUsers = scopesOf(method.path).includes('inbox');
    if (isUsers) assert.doesNotMatch(await asked(unknown, user), /UNAUTHENTICATED|PERMISSION_DENIED/, method.path);
    else assert.equal(await asked(withScope.get(scopesOf(method.path)[0]!)!, user), 'PERMISSION_DENIED SCOPE_MISSING');
  }
});

test('what is of one user is no other one’s, and a deactivated user has nothing', async (t) => {
  const { key, ask } = await start(t);
  const ofUsers = METHODS.filter(({ path }) => /\.(AlertStream|Inbox|Device)Service\//.test(path));
  assert.ok(ofUsers.length >= 10);
  const request = { userId: 'op1', alertIds: [1], token: 'a-device', platform: 'DEVICE_PLATFORM_WEB', deviceId: 1 };
  for (const method of ofUsers) {
    const other = `Bearer ${await token(key, 'op2', 'inbox')}`;
    assert.equal(await ask(method, other, request), 'PERMISSION_DENIED SCOPE_MISSING', method.path);
    // Whether there is such a user is not told either.
    assert.equal(await ask(method, other, { ...request, userId: 'nobody' }), 'PERMISSION_DENIED SCOPE_MISSING');
    const gone = `Bearer ${await token(key, 'core3', 'inbox')}`;
    assert.match(
      await ask(method, gone, { ...request, userId: '' }),
      /^(PERMISSION_DENIED|FAILED_PRECONDITION) USER_INACTIVE$/,
      method.path,
    );
  }
});

test('a method without a line in the table of scopes is not served', () => {
  for (const path of methodPaths()) assert.ok(scopesOf(path).length > 0);
  assert.equal(Object.keys(METHOD_SCOPES).length, methodPaths().length, 'and no line is about what does not exist');
  assert.throws(() => scopesOf('/ssom.alert.v1.AlertService/Forgotten'), /has no line in METHOD_SCOPES/);
});

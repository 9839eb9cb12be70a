import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { certificateFiles, freePorts, LOCAL_NAMES } from '#stack';
import { defer } from '../../support/defer.js';
import type { RoleProcess } from '../../support/role-process.js';
import { patience, until } from '../../support/until-true.js';
import { assertNamed } from './kafka-refusals.js';
import type { KafkaUsers } from './kafka-users.js';

const SECRET = 'the-right-secret';
/** Of a token that is to expire: read anew after four fifths of it. */
const SHORT_S = 10;

export function testTokens(usersOf: () => KafkaUsers): void {
  it('gets tokens from an endpoint: away or with another secret it is named within 5 s, and the role goes on', (t) =>
    byEndpoint(t, usersOf()));
  it('takes the next token from its file: a new one goes on, an old one is named', (t) => byFile(t, usersOf()));
}

/** Gives tokens to who has the secret, as OIDC has it (client_credentials). @returns how many it gave */
async function startEndpoint(t: TestContext, users: KafkaUsers, port: number): Promise<() => number> {
  const files = await certificateFiles(users.stack.folder, 'token-endpoint', LOCAL_NAMES);
  let given = 0;
  const tls = { cert: readFileSync(files.certificate), key: readFileSync(files.key) };
  const server = createServer(tls, (request, response) => {
    const [, basic = ''] = /^Basic (.+)$/.exec(request.headers.authorization ?? '') ?? [];
    const [client = '', secret = ''] = Buffer.from(basic, 'base64').toString().split(':');
    const isRight = request.method === 'POST' && secret === SECRET;
    const token = { access_token: users.tokenOf(client, 600), token_type: 'Bearer', expires_in: 600 };
    if (isRight) given += 1;
    response.writeHead(isRight ? 200 : 401, { 'content-type': 'application/json' });
    response.end(JSON.stringify(isRight ? token : { error: 'invalid_client' }));
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  defer(t, () => server.close().closeAllConnections());
  return () => given;
}

async function byEndpoint(t: TestContext, users: KafkaUsers): Promise<void> {
  const roles = users.roles();
  defer(t, () => roles.stop());
  const secret = users.stack.file('endpoint.secret');
  writeFileSync(secret, 'another-secret\n');
  const [port = 0] = await freePorts(1);
  const environment = users.byEndpoint('alert-api', `https://localhost:${port}/token`, secret);
  const look = /refuses client alert-api: .*look at KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL, _CLIENT_ID/;
  const started = performance.now();
  const role = roles.start('alert-api', environment);
  await assertNamed(role, look);
  assert.ok(performance.now() - started < patience(5000));
  const given = await startEndpoint(t, users, port);
  await assertNamed(role, /refuses client alert-api: .*invalid_client.*look at/);
  assert.equal(given(), 0);
  writeFileSync(secret, SECRET);
  await untilLetIn(role);
  assert.ok(given() > 0);
  assert.doesNotMatch(role.output, /another-secret|the-right-secret/);
}

async function byFile(t: TestContext, users: KafkaUsers): Promise<void> {
  const roles = users.roles();
  defer(t, () => roles.stop());
  const files = { replaced: users.stack.file('replaced.token'), kept: users.stack.file('kept.token') };
  // As Kubernetes does it: whoever reads has the old one or the new one.
  const write = (file: string, seconds: number) => {
    writeFileSync(`${file}.new`, users.tokenOf('alert-api', seconds));
    renameSync(`${file}.new`, file);
  };
  for (const file of Object.values(files)) write(file, SHORT_S + patience(5));
  const refused = /refuses alert-api by token: .*look at the token in KAFKA_SASL_OAUTHBEARER_TOKEN_FILE/;
  const [replaced, kept] = [files.replaced, files.kept].map((file) =>
    roles.start('alert-api', users.byToken('alert-api', file)),
  ) as [RoleProcess, RoleProcess];
  await Promise.all([untilLetIn(replaced), untilLetIn(kept)]);
  write(files.replaced, 600);
  await assertNamed(kept, refused);
  // Brokers ask again every 2 s.
  await sleep(3000);
  assert.equal((await replaced.readiness()).checks['kafka']?.ok, true);
  assert.doesNotMatch(replaced.output, refused);
  write(files.kept, 600);
  await untilLetIn(kept);
}

const untilLetIn = (role: RoleProcess) =>
  until(
    () => `it is let in: ${role.output.slice(-2000)}`,
    async () => (await role.readiness()).checks['kafka']?.ok === true,
  );

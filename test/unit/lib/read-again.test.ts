import assert from 'node:assert/strict';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { KeySet } from '../../../services/lib/auth/key-set.js';
import { loadConfig } from '../../../services/lib/config/load.js';
import { TlsFiles } from '../../../services/lib/grpc/tls-files.js';
import { JsonFile } from '../../../services/lib/json-file.js';
import { securitySettings } from '../../../services/lib/kafka/security-settings.js';
import { PostgresServer } from '../../../services/lib/postgres-server.js';
import { ReadAgain } from '../../../services/lib/read-again.js';
import { secretReader } from '../../../services/lib/secret-reader.js';
import { asNobody } from '../../support/as-nobody.js';
import { localCertificates } from '../../support/certificates.js';
import { temporaryFolder } from '../../support/cleanup.js';
import { logLines } from '../../support/log-lines.js';
import { signingKey } from '../../support/tokens.js';
import { untilTrue } from '../../support/until-true.js';

function folderOf(t: TestContext): (name: string, text?: string) => string {
  const folder = temporaryFolder();
  t.after(folder.remove);
  chmodSync(folder.path, 0o755);
  return (name, text) => {
    const path = join(folder.path, name);
    if (text !== undefined) writeFileSync(path, text, { mode: 0o644 });
    return path;
  };
}

function problemsOf(lines: ReturnType<typeof logLines>['lines']): unknown[] {
  return lines.filter(({ level }) => level === 50).map(({ reason }) => reason);
}

test('a file that is replaced is used; of one that cannot be it is said once why, and again after it could be', (t) => {
  const file = folderOf(t)('limits.json', '1');
  const { logger, lines } = logLines();
  const settings = new JsonFile(file, (json) => Number(json), logger);
  const lookAt = (text: string) => {
    writeFileSync(file, text);
    for (let times = 0; times < 3; times += 1) settings.look();
    return settings.current;
  };
  assert.equal(lookAt('2'), 2);
  assert.equal(lookAt('{'), 2);
  rmSync(file);
  settings.look();
  assert.equal(settings.current, 2);
  assert.equal(lookAt('{'), 2);
  assert.equal(lookAt('2'), 2);
  assert.equal(lookAt('{'), 2);
  assert.equal(lookAt('3'), 3);
  const [broken, gone, ...again] = problemsOf(lines) as string[];
  assert.match(broken!, /^'.*limits\.json': .*JSON/);
  assert.equal(gone, `'${file}' cannot be read (ENOENT): there is none`);
  assert.deepEqual(again, [broken, broken]);
  const used = lines.filter(({ level }) => level === 30).map(({ msg }) => msg);
  assert.deepEqual(used, Array(2).fill(`'${file}' has changed, and is used`));
});

test('what others cannot use is not used, and tried again', () => {
  const { logger, lines } = logLines();
  let reads = 0;
  let isUsable = false;
  const onChange = () => {
    if (!isUsable) throw new Error('it cannot be taken');
  };
  const counted = new ReadAgain({ what: 'a count', read: () => (reads += 1), onChange }, logger);
  assert.deepEqual([counted.look(), counted.look(), counted.current], [1, 1, 1]);
  assert.deepEqual(problemsOf(lines), ['it cannot be taken']);
  isUsable = true;
  assert.deepEqual([counted.look(), counted.current], [4, 4]);
});

test('what is watched is looked at until it ends', async (t) => {
  let reads = 0;
  const counted = new ReadAgain({ what: 'a count', read: () => (reads += 1) }, logLines().logger);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const ended = new AbortController();
  const watching = counted.watch(ended.signal);
  const looks = async () => {
    t.mock.timers.tick(11_000);
    await new Promise((resolve) => setImmediate(resolve));
    return reads >= 5;
  };
  while (!(await looks()));
  assert.equal(counted.current, reads);
  ended.abort();
  await watching;
});

/** A file that is read again: what it says now, as whoever needs it sees it. */
interface Watched {
  readonly path: string;
  readonly read: () => unknown;
}

test('files that this user may read no more are said once each, and what they said before is used', async (t) => {
  const file = folderOf(t);
  const { logger, lines } = logLines();
  const { certificate, key, authority } = localCertificates();
  const jwk = (await signingKey('k1')).jwk;
  const tlsFiles = { certFile: file('cert.pem', certificate), keyFile: file('key.pem', key) };
  const tls = new TlsFiles(tlsFiles, logger);
  const limits = new JsonFile(file('limits.json', '{"a":1}'), (json) => json, logger);
  const password = secretReader('SCHEMA_REGISTRY_PASSWORD', 'first', file('password', 'first'), logger);
  const url = `postgres://u:p@db/ssom?sslmode=verify-full&sslrootcert=${file('ca.pem', authority)}`;
  const urlFile = file('url', url);
  const postgres = new PostgresServer(url, { databaseUrl: urlFile }, logger);
  const kafkaFile = file('kafka', 'first');
  const sasl = { KAFKA_SECURITY_PROTOCOL: 'SASL_PLAINTEXT', KAFKA_SASL_MECHANISM: 'PLAIN', KAFKA_SASL_USERNAME: 'u' };
  const kafka = loadConfig({ ...sasl, KAFKA_SASL_PASSWORD_FILE: kafkaFile });
  const watched: Watched[] = [
    { path: tlsFiles.keyFile, read: () => [tls.look(), tls.expiresAt][1] },
    { path: file('limits.json'), read: () => [limits.look(), limits.current][1] },
    { path: file('password'), read: password },
    { path: urlFile, read: () => postgres.options.connectionString },
    { path: file('ca.pem'), read: () => postgres.options.ssl },
    { path: kafkaFile, read: () => securitySettings(kafka, logger)['sasl.password'] },
  ];
  const before = watched.map(({ read }) => read());
  assert.deepEqual(problemsOf(lines), []);
  for (const { path } of watched) chmodSync(path, 0);
  for (let times = 0; times < 3; times += 1)
    assert.deepEqual(
      asNobody(() => watched.map(({ read }) => read())),
      before,
    );
  const problems = problemsOf(lines) as string[];
  assert.deepEqual(
    problems.map(
      (problem) =>
        /^'(.*)' cannot be read \(EACCES\): user \d+ may not read it .*; change owner or mode$/.exec(problem)?.[1],
    ),
    watched.map(({ path }) => path),
  );

  const jwks = file('jwks.json', JSON.stringify({ keys: [jwk] }));
  const keys = new KeySet({ source: jwks, refreshMs: 0 }, logger);
  await keys.ready();
  const { generation } = keys;
  rmSync(jwks);
  const now = performance.now.bind(performance);
  const isSaid = () => lines.filter(({ source }) => source === jwks).length > 1;
  for (let times = 1; times <= 3; times += 1) {
    t.mock.restoreAll();
    t.mock.method(performance, 'now', () => now() + times * 10_000);
    keys.refresh();
    await untilTrue(isSaid, { what: 'it is said' });
  }
  const [, said, ...more] = lines.filter(({ source }) => source === jwks);
  assert.match(said!.msg, /the keys for tokens could not be had; those of before are used/);
  assert.match((said!['err'] as Error).message, /'.*jwks\.json' cannot be read \(ENOENT\): there is none/);
  assert.deepEqual([more, keys.generation], [[], generation]);
});

test('a secret in a file that this user may not read is refused by its variable, with what to do', (t) => {
  const path = folderOf(t)('secret', 'postgres://u:p@db/ssom');
  chmodSync(path, 0);
  assert.throws(
    () => asNobody(() => loadConfig({ DATABASE_URL_FILE: path })),
    /DATABASE_URL_FILE: '.*secret' cannot be read \(EACCES\): user \d+ may not read it or enter its folder; change owner or mode/,
  );
});

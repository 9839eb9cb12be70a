import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import { ROOT } from '../../services/lib/root.js';
import { installClient, nodeBinaries, packClient } from '../support/client-package.js';
import { loadDirectory } from '../support/directory.js';
import { cleanEnvironment } from '../support/role-process.js';
import { startStandalone } from '../support/standalone.js';

const run = promisify(execFile);
const env = cleanEnvironment();

/** Creates an alert, and waits for it on its recipient's stream: the same body for both kinds of module. */
const PROGRAM = `
async function main([address, title]) {
  const service = createClient({ address, identity: { caller: 'package-test' } });
  const user = createClient({ address, identity: { userId: 'op1' } });
  const { alert } = await service.createAlert({
    kind: 'ALERT_KIND_OTHER', level: 'ALERT_LEVEL_INFO', appName: 'a', title, recipients: { userIds: ['op1'] },
  });
  const refused = await service.createAlert({}).catch((error) => error instanceof AlertClientError && error.reason);
  for await (const { changes } of user.streamAlerts({ start: 'beginning' })) {
    if (changes.some((change) => change.alert.alertId === alert.alertId && change.alert.title === title)) break;
  }
  service.close();
  user.close();
  console.log(JSON.stringify({ title: alert.title, refused }));
}
main(process.argv.slice(2));
`;

const TYPED = `
const client: AlertClient = createClient({ address: 'localhost:50051', identity: { caller: 'a' }, logger: { info() {} } });
export async function inbox(): Promise<string[]> {
  const { alert } = await client.createAlert({ kind: 'ALERT_KIND_JENKINS', level: 'ALERT_LEVEL_ERROR', title: 't', occurredAt: new Date() });
  const occurredAt: Time = '2026-01-31T09:30:00+09:00';
  await client.batchCreateAlerts({ requests: [{ occurredAt }, { occurredAt: alert!.occurredAt }] });
  // @ts-expect-error -- a number says not of what
  void client.createAlert({ occurredAt: Date.now() });
  const titles: string[] = [alert!.title];
  // @ts-expect-error -- no such kind
  void client.createAlert({ kind: 'JENKINS' });
  try {
    for await (const { changes, unreadCount } of client.streamAlerts({ tokens: fileTokenStore('token'), onEvent: tell })) {
      const count: number = unreadCount;
      titles.push(\`\${count}\`, ...changes.map((change) => change.alert?.title ?? ''));
    }
  } catch (error) {
    if (error instanceof AlertClientError) titles.push(error.code, ...error.violations.map(({ field }) => field));
  }
  return titles;
}
const tell = (event: StreamEvent): void => {
  if (event.type === 'lost') event.retryInMs.toFixed();
  // @ts-expect-error -- told of a loss alone
  else event.retryInMs.toFixed();
};
`;
const IMPORT = `import { createClient, AlertClientError, fileTokenStore } from 'ssom-alert';\n`;
const IMPORT_TYPES = `import type { AlertClient, StreamEvent, Time } from 'ssom-alert';\n`;

test('the package', async (t) => {
  const tarball = await packClient(t);

  await t.test('holds the client and nothing else', async () => {
    const { stdout } = await run('tar', ['-tzf', tarball]);
    const files = stdout.trim().replaceAll('package/', '').split('\n');
    const programs = files.filter((name) => name.endsWith('.js') && !name.startsWith('client/'));
    assert.deepEqual(programs.sort(), [
      'api/protos.js',
      'gen/definitions.js',
      'lib/batcher.js',
      'lib/grpc/status.js',
      'lib/make-folder.js',
      'lib/retry.js',
      'lib/telemetry/call-span.js',
      'lib/telemetry/names.js',
      'lib/telemetry/traceparent.js',
      'lib/wall-clock.js',
    ]);
    const others = files.filter((name) => !/\.(js|d\.ts)$/.test(name));
    assert.deepEqual(others.sort(), ['README.md', 'package.json']);
    assert.ok(files.includes('client/index.js') && files.includes('client/index.d.ts'));
  });

  await t.test(
    'is imported and required on every Node, alone in a folder, and says nothing of its own',
    async (each) => {
      const service = await startStandalone(each);
      await loadDirectory(service.api());
      const consumer = await installClient(each, tarball);
      const names = 'createClient, AlertClientError';
      consumer.write({
        'esm.mjs': `import { ${names} } from 'ssom-alert';\n${PROGRAM}`,
        'cjs.cjs': `const { ${names} } = require('ssom-alert');\n${PROGRAM}`,
      });
      for (const node of nodeBinaries()) {
        for (const program of ['esm.mjs', 'cjs.cjs']) {
          const title = `${program} on ${node}`;
          const { stdout, stderr } = await run(node, [program, service.grpc, title.slice(-200)], {
            cwd: consumer.folder,
            env,
          });
          assert.equal(stderr, '', title);
          assert.deepEqual(JSON.parse(stdout), { title: title.slice(-200), refused: 'INVALID_FIELDS' });
        }
      }
    },
  );

  await t.test('is one module, imported or required', async (each) => {
    const consumer = await installClient(each, tarball);
    consumer.write({
      'both.mjs': `
        import { createRequire } from 'node:module';
        import { AlertClientError } from 'ssom-alert';
        console.log(createRequire(import.meta.url)('ssom-alert').AlertClientError === AlertClientError);`,
    });
    const { stdout } = await run(process.execPath, ['both.mjs'], { cwd: consumer.folder, env });
    assert.equal(stdout, 'true\n');
  });

  await t.test('has types for every way to resolve it', async (each) => {
    const consumer = await installClient(each, tarball);
    const required = `import alert = require('ssom-alert');\nvoid alert.createClient;\n`;
    consumer.write({
      'esm.mts': IMPORT + IMPORT_TYPES + TYPED,
      'cjs.cts': IMPORT + IMPORT_TYPES + TYPED,
      'required.cts': required,
      'bundled.ts': IMPORT + IMPORT_TYPES + TYPED,
    });
    const strictest = { noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, noEmit: true };
    const node16 = { ...strictest, module: 'Node16', moduleResolution: 'Node16' };
    assert.equal(await consumer.typeErrors(node16, 'esm.mts', 'cjs.cts', 'required.cts'), '');
    // Declarations themselves are checked once: it takes three times as long.
    const others = { ...strictest, skipLibCheck: true };
    const nodeNext = { ...others, module: 'NodeNext', moduleResolution: 'NodeNext' };
    assert.equal(await consumer.typeErrors(nodeNext, 'esm.mts', 'cjs.cts', 'required.cts'), '');
    const bundler = { ...others, module: 'ESNext', moduleResolution: 'Bundler' };
    assert.equal(await consumer.typeErrors(bundler, 'bundled.ts'), '');
  });

  await t.test('shows the types of a call, and what the proto file says of it, where it is written', async (each) => {
    const consumer = await installClient(each, tarball);
    const { shown, comment } = consumer.hover(
      `import { createClient } from 'ssom-alert';\ncreateClient({} as never).markRead`,
    );
    const types = /\bmarkRead\(request: MarkReadRequest, options\?: CallOptions\): Promise<MarkReadResponse__Output>/;
    assert.match(shown, types);
    assert.match(comment, /^Marks alerts as read\./);
  });
});

test('importing the client loads nothing of the server', async () => {
  // The inspector hears of every script, of either kind of module.
  const program = `
    import { Session } from 'node:inspector';
    const scripts = new Set();
    const session = new Session();
    session.connect();
    session.on('Debugger.scriptParsed', ({ params }) => scripts.add(params.url));
    session.post('Debugger.enable');
    await import('ssom-alert');
    console.log([...scripts].filter((url) => url.includes('/node_modules/') || url.includes('/services/')).join('\\n'));
  `;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program], { cwd: ROOT, env });
  const loaded = stdout.trim().split('\n');
  const packages = new Set(loaded.flatMap((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? []));
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { dependencies: object };
  assert.deepEqual(
    Object.keys(dependencies)
      .filter((name) => packages.has(name))
      .sort(),
    ['@grpc/grpc-js', '@grpc/proto-loader', '@opentelemetry/api', 'protobufjs'],
  );
  const own = loaded.flatMap((url) => /\.build\/services\/(.*)\.js$/.exec(url)?.[1] ?? []);
  assert.ok(own.includes('client/index'), stdout);
  const others = own.filter(
    (file) =>
      !/^(client\/|gen\/|api\/protos$|lib\/(batcher$|grpc\/status$|make-folder$|retry$|wall-clock$|telemetry\/(call-span|names|traceparent)$))/.test(
        file,
      ),
  );
  assert.deepEqual(others, []);
});

test('in a checkout the name means the same, imported and required', async () => {
  const imported = `import { createClient } from 'ssom-alert'; console.log(typeof createClient);`;
  const required = `const { createClient } = require('ssom-alert'); console.log(typeof createClient);`;
  for (const node of nodeBinaries()) {
    for (const [type, program] of [
      ['module', imported],
      ['commonjs', required],
    ] as const) {
      const { stdout, stderr } = await run(node, [`--input-type=${type}`, '--eval', program], { cwd: ROOT, env });
      assert.deepEqual([stdout, stderr], ['function\n', ''], `${type} on ${node}`);
    }
  }
});

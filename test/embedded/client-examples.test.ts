import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { ROOT } from '../../services/lib/root.js';
import { NO_ACCOUNT } from '../../services/store/audit.js';
import { renewEpoch } from '../../services/store/state.js';
import { type Consumer, installClient, packClient } from '../support/client-package.js';
import { defer } from '../support/defer.js';
import { loadDirectory, sampleDirectory } from '../support/directory.js';
import { openDatabase } from '../support/postgres.js';
import { cleanEnvironment } from '../support/role-process.js';
import { startStandalone } from '../support/standalone.js';
import { untilTrue } from '../support/until-true.js';

/*
 * The examples of the READMEs, as they are printed, each a program in the folder of somebody who has installed the
 * package. They speak to localhost:50051, where another service may listen: a connection to that port is led to ours.
 */
const REDIRECT = `
import { Socket } from 'node:net';
const { connect } = Socket.prototype;
Socket.prototype.connect = function (...args) {
  const [options] = args.flat();
  if (options?.port === 50051 || options?.port === '50051') options.port = Number(process.env.REDIRECT_TO);
  return connect.apply(this, args);
};`;

/** TypeScript in a README, by the one thing that each example shows. */
function examples(readme: string, ...names: string[]): Record<string, string> {
  const text = readFileSync(join(ROOT, readme), 'utf8');
  const blocks = [...text.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code]) => code!);
  assert.equal(
    blocks.length,
    names.length,
    `${readme} has ${blocks.length} examples, and here are ${names.length} names`,
  );
  return Object.fromEntries(names.map((name, index) => [`${name}.ts`, blocks[index]!]));
}

class Program {
  output = '';
  readonly ended: Promise<number | null>;
  readonly end: () => void;

  constructor(t: TestContext, consumer: Consumer, name: string, grpc: string) {
    const child = spawn(process.execPath, ['--import', './redirect.mjs', `${name}.js`], {
      cwd: consumer.folder,
      env: cleanEnvironment({ REDIRECT_TO: grpc.split(':')[1]! }),
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
    this.ended = new Promise((resolve) => child.on('close', resolve));
    this.end = () => child.kill('SIGTERM');
    defer(t, () => child.kill('SIGKILL'));
  }

  /** @returns what it has written, at its good end */
  async result(): Promise<string> {
    assert.equal(await this.ended, 0, this.output);
    return this.output;
  }

  async until(text: string): Promise<void> {
    await untilTrue(() => this.output.includes(text), { what: () => `'${text}' in: ${this.output}` });
  }
}

test('the examples of the READMEs do what they say', async (t) => {
  const service = await startStandalone(t);
  const { users, routingRules } = sampleDirectory();
  const api = service.api();
  await loadDirectory(api, users, routingRules);
  const consumer = await installClient(t, await packClient(t));
  const sources = {
    ...examples('services/client/README.md', 'create', 'errors', 'batch', 'read', 'stream', 'tracing'),
    ...examples('README.md', 'first'),
  };
  consumer.write({ ...sources, 'redirect.mjs': REDIRECT });
  const options = { module: 'NodeNext', moduleResolution: 'NodeNext', skipLibCheck: true };
  assert.equal(await consumer.typeErrors(options, ...Object.keys(sources)), '');
  const start = (each: TestContext, name: string) => new Program(each, consumer, name, service.grpc);

  await t.test('create an alert, once for each request id', async (each) => {
    assert.match(await start(each, 'create').result(), /^alert \d+ is new\n$/);
    assert.match(await start(each, 'create').result(), /^alert \d+ was there already\n$/);
    assert.equal(await start(each, 'first').result(), '');
  });

  await t.test('handle a typed error', async (each) => {
    const [status, ...violations] = (await start(each, 'errors').result()).trim().split('\n');
    assert.equal(status, 'INVALID_ARGUMENT INVALID_FIELDS false');
    assert.deepEqual(violations.map((line) => line.split(' ')[0]).sort(), ['level', 'title']);
  });

  await t.test('create many in a batch', async (each) => {
    assert.equal(await start(each, 'batch').result(), '1000 created\n');
  });

  await t.test('mark as read', async (each) => {
    const unread = async () => (await api.call('GetUnreadCount', {}, { user: 'op01' })).unreadCount;
    await untilTrue(async () => (await unread()) === 1002, { what: 'op01 has all of them' });
    assert.equal(await start(each, 'read').result(), '100 read, 902 left\n');
    assert.equal(await unread(), 902);
  });

  await t.test('send the trace along', async (each) => {
    assert.equal(await start(each, 'tracing').result(), '');
  });

  await t.test('go on with a stream in the next process, and after its token expired', async (each) => {
    const say = async (title: string) => {
      const request = { kind: 'ALERT_KIND_OTHER', level: 'ALERT_LEVEL_INFO', appName: 'a', title } as const;
      await api.call('CreateAlert', { ...request, recipients: { userIds: ['op01'] } });
    };
    const first = start(each, 'stream');
    await first.until('live\n');
    await say('while it runs');
    await first.until('while it runs\n');
    first.end();
    assert.equal((await first.result()).match(/host-7:/g)?.length, 1);

    await say('while it is away');
    const second = start(each, 'stream');
    await second.until('while it is away\n');
    await second.until('live\n');
    second.end();
    assert.doesNotMatch(await second.result(), /host-|forget/);

    await renewEpoch(openDatabase(each, service.databaseUrl).database, NO_ACCOUNT);
    await service.restart();
    const third = start(each, 'stream');
    await third.until('live\n');
    third.end();
    const output = await third.result();
    assert.match(output, /^forget what was shown/);
    assert.equal(output.match(/host-7:/g)?.length, 1);
    assert.equal(output.match(/while it is away/g)?.length, 1);
  });
});

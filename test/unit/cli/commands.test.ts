import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import test from 'node:test';
import { gzipSync } from 'node:zlib';
import grpc from '@grpc/grpc-js';
import { main } from '../../../services/cli/cli.js';
import type { CreateAlertRequest__Output } from '../../../services/gen/types.js';
import { fakeService, refuse, type StreamCall } from '../client/fake-service.js';
import { fakeContext } from './fake-context.js';

function line(title: string, more: object = {}): string {
  return JSON.stringify({ kind: 'OTHER', level: 'INFO', appName: 'a', title, ...more });
}

function created(alertId: number, replayed = false) {
  return { response: { alert: { alertId }, replayed } };
}

function refused(message: string, retryAfterMs = 0) {
  return { error: { code: retryAfterMs > 0 ? 14 : 3, message, reason: 'WHY', fieldViolations: [], retryAfterMs } };
}

test('create --file names bad lines by their numbers, sends the good ones, and exits with 1', async (t) => {
  const titles: string[] = [];
  const address = await fakeService(t, {
    BatchCreateAlerts: (call, callback) => {
      callback(null, {
        results: call.request.requests.map(({ title, requestId }, index) => {
          titles.push(title);
          if (title === 'refuse me') return refused('title must be nicer');
          return created(index + 1, requestId === 'again');
        }),
      });
    },
  });
  const stdin = [
    line('one'),
    '',
    'nonsense',
    line('refuse me'),
    line('x', { requestId: 'again' }),
    line('y', { z: 1 }),
  ];
  const context = fakeContext({ stdin: stdin.join('\n') });
  assert.equal(await main(['alerts', 'create', '--file', '-', '--address', address], context), 1);
  assert.deepEqual(titles, ['one', 'refuse me', 'x']);
  const said = context.err().trim().split('\n');
  assert.match(said[0]!, /^line 3: is not JSON: /);
  assert.match(said[1]!, /^line 6: z is not a field; /);
  assert.equal(said[2], 'line 4: title must be nicer (WHY)');
  assert.equal(said.length, 3);
  assert.equal(context.out(), '1 created, 1 replayed, 3 refused\n');
});

test('create --file sends large files in bounded calls, each alert once, and shows progress on a terminal', async (t) => {
  const sizes: number[] = [];
  const seen = new Set<string>();
  let running = 0;
  let most = 0;
  const address = await fakeService(t, {
    BatchCreateAlerts: (call, callback) => {
      running += 1;
      most = Math.max(most, running);
      sizes.push(call.request.requests.length);
      for (const { title, requestId } of call.request.requests) {
        assert.notEqual(requestId, '');
        assert.ok(!seen.has(title));
        seen.add(title);
      }
      setImmediate(() => {
        running -= 1;
        callback(null, { results: call.request.requests.map((_request, index) => created(index + 1)) });
      });
    },
  });
  const folder = mkdtempSync(join(tmpdir(), 'ssom-cli-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'alerts.jsonl');
  const long = { message: 'm'.repeat(16_000) };
  const lines = [
    ...Array.from({ length: 950 }, (_, index) => line(`short ${index}`)),
    ...Array.from({ length: 120 }, (_, index) => line(`long ${index}`, long)),
  ];
  writeFileSync(file, lines.join('\n'));
  const context = fakeContext({ terminal: true, environment: { SSOM_ADDRESS: address } });
  assert.equal(await main(['alerts', 'create', '--file', file], context), 0);
  assert.equal(seen.size, 1070);
  assert.ok(Math.max(...sizes) <= 100);
  // 700 KiB hold 44 of the long ones.
  assert.ok(sizes.length >= 10 + 2, sizes.join(' '));
  assert.ok(most <= 4, `${most} calls at once`);
  assert.equal(context.out(), '1070 created\n');
  assert.match(context.err(), /^\r\u001b\[K\d+ created …/);
  assert.ok(context.err().endsWith('\r\u001b[K'), 'the progress line is wiped in the end');
});

test('create --file sends an item again when the service asks for it, under the same request id', async (t) => {
  const calls: CreateAlertRequest__Output[][] = [];
  const address = await fakeService(t, {
    BatchCreateAlerts: (call, callback) => {
      calls.push(call.request.requests);
      const again = calls.length < 3;
      const results = call.request.requests.map(({ title }) =>
        again && title === 'later' ? refused('the database is away', 1) : created(1),
      );
      callback(null, { results });
    },
  });
  const context = fakeContext({ stdin: [line('now'), line('later'), line('too')].join('\n') });
  assert.equal(await main(['alerts', 'create', '--file', '-', '--address', address], context), 0);
  assert.deepEqual(
    calls.map((requests) => requests.map(({ title }) => title)),
    [['now', 'later', 'too'], ['later'], ['later']],
  );
  assert.equal(new Set(calls.map((requests) => requests.find(({ title }) => title === 'later')!.requestId)).size, 1);
  assert.equal(context.out(), '3 created\n');
});

test('create --file ends when the calls are refused as such, and says how far it came', async (t) => {
  let calls = 0;
  const address = await fakeService(t, {
    BatchCreateAlerts: (_call, callback) => {
      calls += 1;
      callback({ code: grpc.status.PERMISSION_DENIED, details: 'this call needs the scope alerts:create' });
    },
  });
  // A pipe that stays open: it must end even so.
  const stdin = new PassThrough();
  t.after(() => stdin.destroy());
  stdin.write(`${line('one')}\n${line('two')}\n`);
  const context = fakeContext({ stdin });
  assert.equal(await main(['alerts', 'create', '--file', '-', '--address', address], context), 1);
  assert.equal(calls, 1);
  assert.equal(context.out(), '0 created, 2 not sent\n');
  assert.match(context.err(), /PERMISSION_DENIED: this call needs the scope alerts:create/);
});

test('an open pipe holds on while the service is away, as the client does', async (t) => {
  const from = performance.now();
  let calls = 0;
  const address = await fakeService(t, {
    BatchCreateAlerts: (call, callback) => {
      calls += 1;
      // Longer than five attempts take.
      const away = performance.now() - from < 6000;
      if (away) callback({ code: grpc.status.UNAVAILABLE, details: 'it is restarted' });
      else callback(null, { results: call.request.requests.map((_request, index) => created(index + 1)) });
    },
  });
  const context = fakeContext({ stdin: line('tick') });
  assert.equal(await main(['alerts', 'create', '--file', '-', '--address', address], context), 0);
  assert.equal(context.out(), '1 created\n');
  assert.ok(calls > 5);
});

test('create --file: 75 where the service is away, and 1 where a line is refused', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ssom-cli-'));
  const file = join(folder, 'alerts.jsonl');
  writeFileSync(file, line('one'));
  const context = fakeContext();
  assert.equal(await main(['alerts', 'create', '--file', file, '--address', '127.0.0.1:1'], context), 75);
  assert.equal(context.out(), '0 created, 1 not sent\n');
  writeFileSync(file, 'nonsense');
  assert.equal(await main(['alerts', 'create', '--file', file, '--address', '127.0.0.1:1'], fakeContext()), 1);
  rmSync(folder, { recursive: true });
});

test('what has a value and may not be repeated is refused when it is, in every command', async () => {
  for (const args of [
    'alerts create --file a --file b',
    'alerts create --kind OTHER --level INFO --app a --title x --title y',
    'alerts create --kind OTHER --level INFO --app a --title x --label k=1 --label k=2',
    'alerts watch --user a --user b',
    'inbox list --user a --limit 1 --limit=2',
    'directory load x --caller a --caller b',
    'dlq list --topic a --topic b',
    'top --interval 1 --interval 2',
  ]) {
    const context = fakeContext();
    assert.equal(await main(args.split(' '), context), 2, args);
    assert.match(context.err(), /was given more than once/, args);
  }
});

test('what was shortened, who does not get it, and that nobody does, is said', async (t) => {
  const answer = {
    alert: { alertId: 17 },
    adjustments: [
      { field: 'title', type: 'ADJUSTMENT_TYPE_SHORTENED' as const, originalLength: 257 },
      { field: 'labels', type: 'ADJUSTMENT_TYPE_SHORTENED' as const, originalLength: 40 },
      { field: 'occurred_at', type: 'ADJUSTMENT_TYPE_REPLACED' as const, original: '1969-12-31T00:00:00.000Z' },
    ],
    unreached: [
      {
        list: 'RECIPIENT_LIST_ROUTING_RULES' as const,
        name: 'OPERTION',
        reason: 'UNREACHED_REASON_NO_ACTIVE_USER' as const,
      },
    ],
    unreachedCount: 1,
    reachesNobody: true,
  };
  const address = await fakeService(t, {
    CreateAlert: (_call, callback) => callback(null, answer),
    BatchCreateAlerts: (call, callback) =>
      callback(null, { results: call.request.requests.map(() => ({ response: answer })) }),
  });
  const flags = `alerts create --kind OTHER --level INFO --app a --title t --address ${address}`.split(' ');
  const one = fakeContext();
  assert.equal(await main(flags, one), 0);
  const notes = [
    'title was shortened, of 257 characters',
    'labels were left out: of 40 the first are kept, by key',
    'occurred_at 1969-12-31T00:00:00.000Z was replaced by the present time',
    "a routing rule matches, and its department 'OPERTION' has no active user",
    'it reaches nobody',
  ];
  assert.deepEqual(one.err().trimEnd().split('\n'), notes);
  const json = fakeContext();
  await main([...flags, '--json'], json);
  const { alert, ...rest } = JSON.parse(json.out()) as { alert: { alertId: number }; adjustments: object[] };
  assert.equal(alert.alertId, 17);
  assert.equal(rest.adjustments.length, 3);
  const file = ['alerts', 'create', '--file', '-', '--address', address];
  const many = fakeContext({ stdin: line('x') });
  await main(file, many);
  assert.equal(many.out(), '1 created, 1 that reach nobody\n');
  assert.deepEqual(
    many.err().trimEnd().split('\n'),
    notes.map((note) => `line 1: ${note}`),
  );
  const lines = fakeContext({ stdin: `${line('x')}\nnonsense` });
  await main([...file, '--json'], lines);
  const results = lines
    .out()
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text) as { line: number; reachesNobody?: boolean; error?: string });
  assert.deepEqual(results.map(({ line: number, reachesNobody }) => [number, reachesNobody]).sort(), [
    [1, true],
    [2, undefined],
  ]);
});

test('an alert that is printed over several lines is one alert; what is no JSON lines at all is named once', async (t) => {
  const titles: string[] = [];
  const address = await fakeService(t, {
    BatchCreateAlerts: (call, callback) => {
      titles.push(...call.request.requests.map(({ title }) => title));
      callback(null, { results: call.request.requests.map((_request, index) => created(index + 1)) });
    },
  });
  const create = async (stdin: string | Buffer) => {
    titles.length = 0;
    const context = fakeContext({ stdin: Readable.from([Buffer.from(stdin)]) });
    const code = await main(['alerts', 'create', '--file', '-', '--address', address], context);
    return { code, titles: [...titles], said: context.err() };
  };
  const pretty = (title: string) =>
    JSON.stringify(JSON.parse(line(title, { recipients: { userIds: ['a'] } })), null, 4);
  assert.deepEqual(await create(`${pretty('one {')}\n${pretty('two')}\n${line('three')}\n`), {
    code: 0,
    titles: ['one {', 'two', 'three'],
    said: '',
  });
  // One that was cut off takes no other with it.
  const cut = await create(`${pretty('one').slice(0, -2)}\n${line('two')}\n{"kind": "OTHER", "tit\n${line('three')}`);
  assert.deepEqual([cut.code, cut.titles], [1, ['two', 'three']]);
  assert.match(cut.said, /^line 1: is not JSON: .*\nline 12: is not JSON: [^\n]*\n$/);

  const foreign = async (bytes: string | Buffer, said: RegExp) => {
    const answer = await create(bytes);
    assert.deepEqual([answer.code, answer.titles], [1, []], answer.said);
    assert.match(answer.said, said);
    assert.equal(answer.said.trimEnd().split('\n').length, 1, answer.said);
  };
  await foreign(
    Buffer.from(`\ufeff${line('x')}`, 'utf16le'),
    /^standard input is UTF-16, as PowerShell's > writes it: iconv /,
  );
  await foreign(Buffer.from(line('x'), 'utf16le'), /is UTF-16: iconv -f UTF-16LE/);
  await foreign(gzipSync(line('x')), /is gzip: gunzip -c/);
  await foreign(
    'kind,level,appName,title\nOTHER,INFO,a,x\n',
    /looks like CSV, and begins with "kind,level,appName,title"/,
  );
  await foreign(JSON.stringify([JSON.parse(line('x'))], null, 2), /is a JSON array over several lines: jq -c '\.\[\]'/);
  const parts = `--b-1\nContent-Disposition: form-data; name="data"\n\n${line('x')}\n--b-1--\n`;
  await foreign(parts, /looks like a form in parts \(multipart\/form-data\), and begins with "--b-1"/);
  await foreign(`payload=${encodeURIComponent(line('x'))}`, /looks like a form \(application\/x-www-form-urlencoded\)/);
  await foreign('<html>\n', /looks like XML or HTML/);
  const text = '정산 배치 is down\nException in thread "main"\n\tat Main.java:42\n';
  await foreign(text, /^standard input looks like plain text, and begins with "정산 배치 is down"; each line must be/);
  await foreign('nonsense', /looks like plain text/);
  // An array that jq would not read: where, counted with the blank lines.
  const broken = '[{\n\t"fields": [\n\t{ "a": 1 }\n\n\n\t{ "b": 2 }]\n}]\n';
  await foreign(broken, /is not JSON: line 6, column 2: Expected ',' or '\]' after array element$/m);

  // One line that was cut off, as of `tail -f`, is no other kind of file.
  const tail = await create(`OTHER", "title": "x"}\n${line('two')}\nnonsense\nnonsense\n${line('three')}`);
  assert.deepEqual([tail.code, tail.titles], [1, ['two', 'three']]);
  assert.match(tail.said, /^line 1: is not JSON: .*\nline 3: is not JSON: .*\nline 4: is not JSON: .*\n$/);
});

test('Ctrl-C ends create --file with 130', async (t) => {
  const address = await fakeService(t, {});
  const stdin = new PassThrough();
  t.after(() => stdin.destroy());
  const context = fakeContext({ stdin });
  const done = main(['alerts', 'create', '--file', '-', '--address', address], context);
  setImmediate(() => context.interrupt());
  assert.equal(await done, 130);
});

test('create from flags sends what they say and prints the number, also of one that was there', async (t) => {
  let request: CreateAlertRequest__Output | undefined;
  let caller: unknown;
  let replayed = false;
  const address = await fakeService(t, {
    CreateAlert: (call, callback) => {
      request = call.request;
      [caller] = call.metadata.get('x-caller');
      callback(null, { alert: { alertId: 17 }, replayed });
    },
  });
  const flags =
    '--kind grafana --level error --app ssok --title t --label a=1 --label b==2 --to-user u1 --to-user u2 ' +
    '--to-department D --to-login l --occurred-at 2026-01-31T09:30:00Z --request-id r --source-id s --caller me';
  const context = fakeContext();
  assert.equal(await main(['alerts', 'create', ...flags.split(' '), '--address', address], context), 0);
  assert.equal(context.out(), 'alert 17 created\n');
  assert.equal(caller, 'me');
  assert.deepEqual(request, {
    requestId: 'r',
    kind: 'ALERT_KIND_GRAFANA',
    appName: 'ssok',
    level: 'ALERT_LEVEL_ERROR',
    title: 't',
    message: '',
    occurredAt: { seconds: Date.UTC(2026, 0, 31, 9, 30) / 1000, nanos: 0 },
    sourceId: 's',
    labels: { a: '1', b: '=2' },
    recipients: { userIds: ['u1', 'u2'], departments: ['D'], githubLogins: ['l'] },
  });
  replayed = true;
  const again = fakeContext();
  assert.equal(await main(['alerts', 'create', ...flags.split(' '), '--address', address], again), 0);
  assert.equal(again.out(), 'alert 17 replayed\n');
});

test('watch shows changes, keeps still about checkpoints, and Ctrl-C ends it with 0 and a token', async (t) => {
  const context = fakeContext();
  let asked: unknown;
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      const { start, filter, resumeToken } = call.request;
      asked = { start, filter, resumeToken, user: call.metadata.get('x-user-id')[0] };
      const alert = {
        alertId: 17,
        kind: 'ALERT_KIND_ISSUE',
        level: 'ALERT_LEVEL_INFO',
        appName: 'a',
        title: 'x\ny',
      } as const;
      call.write({ changes: [{ type: 'INBOX_CHANGE_TYPE_CREATED', sequence: 1, alert }], resumeToken: 'r1' });
      call.write({ changes: [], resumeToken: 'r2' });
      call.on('cancelled', () => undefined);
    },
  });
  context.stderr.on('data', (chunk: Buffer) => {
    if (chunk.toString().startsWith('live')) setImmediate(() => context.interrupt());
  });
  const args = ['alerts', 'watch', '--user', 'op01', '--from', 'start', '--kind', 'issue', '--min-level', 'info'];
  assert.equal(await main([...args, '--stream-address', address], context), 0);
  assert.deepEqual(asked, {
    start: 'STREAM_START_BEGINNING',
    filter: { kinds: ['ALERT_KIND_ISSUE'], minimumLevel: 'ALERT_LEVEL_INFO', unreadOnly: false },
    resumeToken: '',
    user: 'op01',
  });
  assert.equal(context.out(), '--:--:--  INFO      ISSUE       a  x\\ny  #17\n');
  assert.match(context.err(), /^live: .*\nto go on from here: --from r2\n$/);
});

test('watch says that it waited for the service, and where what came before is to be found', async (t) => {
  for (const from of ['now', 'start']) {
    let calls = 0;
    const address = await fakeService(t, {
      StreamAlerts: (call: StreamCall) => {
        calls += 1;
        if (calls < 3) return refuse(call, { code: grpc.status.UNAVAILABLE, details: 'not yet' });
        call.write({ changes: [], resumeToken: 'r1' });
        call.on('cancelled', () => undefined);
        // Lost once more: the place is known then, and nothing is missed.
        if (calls === 3) setImmediate(() => refuse(call, { code: grpc.status.UNAVAILABLE, details: 'again' }));
      },
    });
    const context = fakeContext();
    context.stderr.on('data', () => {
      if (context.err().split('live: ').length === 3) setImmediate(() => context.interrupt());
    });
    assert.equal(
      await main(['alerts', 'watch', '--user', 'op01', '--from', from, '--stream-address', address], context),
      0,
    );
    const connected = context.err().match(/^connected after .*$/gm);
    assert.equal(connected?.length, 1, context.err());
    assert.match(connected[0], /^connected after [\d.]+ m?s/);
    const missed = "; what came before is in 'ssom-alert inbox list --user op01', or comes with --from start";
    assert.equal(connected[0].includes(missed), from === 'now', connected[0]);
  }
});

test('watch --json prints a change a line, and a token that has expired is explained', async (t) => {
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      const changes = [4, 5].map((sequence) => ({ sequence, alert: { alertId: sequence } }));
      call.write({ changes, resumeToken: 'r5', unreadCount: 2 });
      call.emit('error', { code: grpc.status.OUT_OF_RANGE, details: 'resume_token is too old' });
    },
  });
  const context = fakeContext();
  const args = ['alerts', 'watch', '--user', 'op01', '--from', 'r3', '--json', '--address', address];
  assert.equal(await main(args, context), 1);
  const printed = context
    .out()
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text) as { sequence: number; resumeToken: string | null });
  assert.deepEqual(
    printed.map(({ sequence, resumeToken }) => [sequence, resumeToken]),
    [
      [4, null],
      [5, 'r5'],
    ],
  );
  assert.match(context.err(), /OUT_OF_RANGE: resume_token is too old/);
});

test('inbox list turns pages up to its limit', async (t) => {
  const pages: [size: number, token: string][] = [];
  const address = await fakeService(t, {
    ListInbox: (call, callback) => {
      const { pageSize, pageToken } = call.request;
      pages.push([pageSize, pageToken]);
      const entries = Array.from({ length: pageSize }, (_, index) => ({ alert: { alertId: index + 1 }, isRead: true }));
      callback(null, { entries, nextPageToken: `p${pages.length}`, unreadCount: 3 });
    },
  });
  const context = fakeContext();
  assert.equal(await main(['inbox', 'list', '--user', 'u', '--limit', '1200', '--address', address], context), 0);
  assert.deepEqual(pages, [
    [500, ''],
    [500, 'p1'],
    [200, 'p2'],
  ]);
  assert.equal(context.out().trimEnd().split('\n').length, 1200);
  assert.match(context.err(), /^1200 shown, there are more/);
});

test('inbox read sends as many numbers as a call takes', async (t) => {
  const sizes: number[] = [];
  const address = await fakeService(t, {
    MarkRead: (call, callback) => {
      sizes.push(call.request.alertIds.length);
      callback(null, { changed: call.request.alertIds.length, unreadCount: 4 });
    },
  });
  const ids = Array.from({ length: 1001 }, (_, index) => String(index + 1));
  const context = fakeContext();
  assert.equal(await main(['inbox', 'read', '--user', 'u', '--address', address, ...ids], context), 0);
  assert.deepEqual(sizes, [1000, 1]);
  assert.equal(context.out(), '1001 changed, 4 unread\n');
});

test('directory load sends chunks, then the rules, and nothing of a file with problems', async (t) => {
  const sizes: number[] = [];
  let rules: unknown;
  const address = await fakeService(t, {
    UpsertUsers: (call, callback) => {
      sizes.push(call.request.users.length);
      callback(null, { directoryVersion: sizes.length });
    },
    SetRoutingRules: (call, callback) => {
      rules = call.request.rules;
      callback(null, { directoryVersion: 9 });
    },
  });
  const users = Array.from({ length: 501 }, (_, index) => ({ userId: `u${index}`, department: 'D', active: true }));
  const routingRules = [{ department: 'D', match: 'ROUTING_MATCH_ALL' }];
  const context = fakeContext({ stdin: JSON.stringify({ users, routingRules }) });
  assert.equal(await main(['directory', 'load', '-', '--address', address], context), 0);
  assert.deepEqual(sizes, [500, 1]);
  assert.deepEqual(rules, [{ department: 'D', match: 'ROUTING_MATCH_ALL', appPattern: '' }]);
  assert.equal(context.out(), '501 users and 1 routing rule loaded; the directory is at version 9\n');

  const bad = fakeContext({ stdin: JSON.stringify({ users: [...users, {}] }) });
  assert.equal(await main(['directory', 'load', '-', '--address', address], bad), 1);
  assert.equal(sizes.length, 2);
  assert.match(bad.err(), /^users\[501\]\.active must be true or false, not absent\n/);
  assert.match(bad.err(), /nothing was loaded\n$/);
});

test('a command line that is wrong exits with 2 and says why', async () => {
  const wrong: [args: string, why: RegExp][] = [
    ['', /^Usage: ssom-alert/],
    ['foo', /unknown command 'foo'/],
    ['alerts wach', /Did you mean watch/],
    ['alerts', /Usage: ssom-alert alerts/],
    ['run nobody', /^error: <role> 'nobody' is wrong\. Allowed choices are standalone, alert-api/],
    ['alerts get zero', /^error: <id> 'zero' is wrong\. It must be a whole number from 1 to 9007199254740991\.$/m],
    [
      'alerts get 9007199254740993',
      /^error: <id> '9007199254740993' is wrong\. It must be a whole number from 1 to 9007/,
    ],
    [
      'inbox read --user op01 99999999999999999999999',
      /^error: <id> '9{23}' is wrong\. .* from 1 to 9007199254740991\.$/m,
    ],
    [
      'inbox list --user op01 --limit 99999999999999999999999',
      /^error: --limit '9{23}' is wrong\. .* 9007199254740991\.$/m,
    ],
    ["alerts get it's\u001b[31m", /^error: <id> 'it's\\x1b\[31m' is wrong\. It must be/],
    ['alerts create --title t', /needs --kind, --level, --app/],
    ['alerts create --file x --title t', /--title cannot be given with it/],
    ['alerts create --kind OTHER --level INFO --app a --title t --label x', /--label 'x' must be key=value/],
    ['alerts watch', /--user/],
    ['alerts watch --user u --kind x', /^error: --kind 'x' is wrong\. It must be one of OPENSEARCH/],
    ['inbox read --user u', /missing required argument 'id'/],
    ['inbox list --user u --address localhost', /must be host:port/],
    ['migrate --database-only --schemas-only', /give one/],
    ['migrate --back --schemas-only', /give one/],
  ];
  for (const [args, why] of wrong) {
    const context = fakeContext();
    assert.equal(await main(args === '' ? [] : args.split(' '), context), 2, args);
    assert.match(context.err(), why);
    assert.equal(context.out(), '');
  }
});

test('--help is a result, with examples', async () => {
  for (const command of [
    [],
    ['run'],
    ['migrate'],
    ['directory', 'load'],
    ...['create', 'watch', 'get'].map((name) => ['alerts', name]),
    ...['list', 'read', 'unread', 'delete', 'read-all'].map((name) => ['inbox', name]),
    ...['list', 'show', 'redrive', 'purge'].map((name) => ['dlq', name]),
  ]) {
    const context = fakeContext();
    assert.equal(await main([...command, '--help'], context), 0);
    // A default that no text can say.
    assert.doesNotMatch(context.out(), /null|undefined|Infinity/, command.join(' '));
    assert.match(context.out(), /\nExamples:\n {2}\S/, command.join(' '));
    assert.equal(context.err(), '');
  }
});

test('migrate names what is wrong with the configuration, and explains the embedded profile', async () => {
  const wrong = fakeContext({ environment: { KAFKA_PRODUCER_RETRIES: 'many', DATABASE_URL: 'mysql://x' } });
  assert.equal(await main(['migrate'], wrong), 1);
  assert.match(wrong.err(), /KAFKA_PRODUCER_RETRIES: 'many' is not a whole number/);
  assert.match(wrong.err(), /DATABASE_URL: the given value is not a postgres/);

  const embedded = fakeContext();
  assert.equal(await main(['migrate'], embedded), 1);
  assert.match(embedded.err(), /'npm start' brings its own PostgreSQL/);

  const nobody = fakeContext({ environment: { DATABASE_URL: 'postgres://u:secret@127.0.0.1:1/ssom' } });
  assert.equal(await main(['migrate'], nobody), 75);
  assert.match(nobody.err(), /database 127\.0\.0\.1:1\/ssom could not be migrated: .*ECONNREFUSED/);
  assert.ok(!nobody.err().includes('secret'));
});

test('a service that is not there: what to look at', async () => {
  const context = fakeContext();
  assert.equal(await main(['alerts', 'get', '1', '--address', '127.0.0.1:1'], context), 75);
  assert.match(context.err(), /^UNAVAILABLE: .*ECONNREFUSED.*\nIs the service running at 127\.0\.0\.1:1\?/);
});

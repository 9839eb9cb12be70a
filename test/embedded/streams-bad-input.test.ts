import assert from 'node:assert/strict';
import http2 from 'node:http2';
import test, { type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import grpc from '@grpc/grpc-js';
import { api as definitions } from '../../services/api/protos.js';
import { ResumeTokenWriter } from '../../services/domain/resume-token.js';
import type { StreamAlertsRequest } from '../../services/gen/types.js';
import { alertRequest } from '../support/alerts.js';
import { loadDirectory, user } from '../support/directory.js';
import { metricOf } from '../support/metrics.js';
import { createTestDatabase } from '../support/postgres.js';
import { startStandalone } from '../support/standalone.js';
import { assertFoldEqualsInbox, type CollectedStream, collectStream } from '../support/stream.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { untilTrue } from '../support/until-true.js';

const PER_USER = 5;
const BEGINNING = { start: 'STREAM_START_BEGINNING' } as const;
const METHOD = definitions.AlertStreamService.service.StreamAlerts;

/** One gRPC message, framed. */
function framed(request: StreamAlertsRequest): Buffer {
  const message = METHOD.requestSerialize(request);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/**
 * StreamAlerts over bare HTTP/2, with headers that no gRPC client would send.
 * @returns its grpc-status, as far as it came
 */
function bareCall(t: TestContext, address: string, headers: http2.OutgoingHttpHeaders) {
  const session = http2.connect(`http://${address}`);
  session.on('error', () => undefined);
  t.after(() => session.destroy());
  const call = session.request({
    ':method': 'POST',
    ':path': METHOD.path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  const answer: { status?: string; closed: boolean } = { closed: false };
  const note = (fields: http2.IncomingHttpHeaders) => {
    const status = fields['grpc-status'];
    if (status !== undefined) answer.status = grpc.status[Number(status)]!;
  };
  call.on('response', note);
  call.on('trailers', note);
  call.on('error', () => undefined);
  call.on('close', () => (answer.closed = true));
  call.resume();
  return { session, call, answer };
}

test('what nobody should send to StreamAlerts', async (t) => {
  const store = await createTestDatabase(t);
  const service = await startStandalone(t, {
    env: { DATABASE_URL: store.url, STREAMS_PER_USER_MAX: String(PER_USER), STREAM_STALL_MS: '1000' },
  });
  const api = service.api();
  await loadDirectory(
    api,
    ['bystander', 'odd', 'other', 'flood', 'still', 'half'].map((id) => user(id, 'ELSEWHERE')),
  );
  const create = async (userId: string, count = 1, message = '') => {
    const requests = Array.from({ length: count }, () => alertRequest({ message, recipients: { userIds: [userId] } }));
    const { results } = await api.call('BatchCreateAlerts', { requests });
    return results.map(({ response }) => response!.alert!.alertId);
  };
  const open = () => metricOf(service.http, 'ssom_stream_open');
  const bystander = await collectStream(t, service.api(), { user: 'bystander' }).untilLive();

  /** Nothing of what went before is left, and somebody else's stream goes on. */
  const unharmed = async () => {
    const metric = (name: string) => metricOf(service.http, `ssom_stream_${name}`);
    // What waits counts until a client that does not read is cut off.
    const quiet = async () => (await open()) === 1 && (await metric('opening')) + (await metric('pending_bytes')) === 0;
    await untilTrue(quiet, { what: 'one stream alone is open, and nothing waits' });
    for (const name of ['catch_up_waiting', 'buffered']) assert.equal(await metric(name), 0, name);
    await bystander.untilAlerts(await create('bystander'));
    bystander.assertInOrder();
  };

  await t.test('tokens', async (each) => {
    const ids = await create('odd', 3);
    const stream = collectStream(each, api, { user: 'odd' }, BEGINNING);
    await stream.untilAlerts(ids);
    await stream.cancel();
    const token = stream.folded.resumeToken;
    const [state] = await store.sql<{ epoch: number }>('SELECT epoch FROM service_state');
    const flipped = Buffer.from(token, 'base64url');
    flipped[20]! ^= 1;
    const invalid = ['INVALID_ARGUMENT', 'RESUME_TOKEN_INVALID'];
    const wrong: readonly [what: string, token: string, refusal: readonly string[]][] = [
      ['blank', ' ', invalid],
      ['padding alone', '==', invalid],
      ['U+0000', '\0', invalid],
      ['not ASCII', '토큰', invalid],
      ['its first half', token.slice(0, token.length / 2), invalid],
      ['without its last character', token.slice(0, -1), invalid],
      ['twice', token + token, invalid],
      ['100,000 characters', 'A'.repeat(100_000), invalid],
      ['a bit changed', flipped.toString('base64url'), invalid],
      ['in base64 with padding', `${token}=`, invalid],
      [
        "made for another user's inbox",
        new ResumeTokenWriter('other', state!.epoch).write(1),
        ['PERMISSION_DENIED', 'RESUME_TOKEN_FOREIGN'],
      ],
      [
        'of another epoch',
        new ResumeTokenWriter('odd', state!.epoch + 1).write(1),
        ['OUT_OF_RANGE', 'RESUME_TOKEN_EXPIRED'],
      ],
      [
        'ahead of the inbox',
        new ResumeTokenWriter('odd', state!.epoch).write(4),
        ['OUT_OF_RANGE', 'RESUME_TOKEN_AHEAD'],
      ],
    ];
    for (const [what, resumeToken, refusal] of wrong) {
      const error = await collectStream(each, api, { user: 'odd' }, { resumeToken }).untilRefused();
      assert.deepEqual([error.code, error.reason], refusal, what);
    }
    // A token opens nothing: with one's own identity a made one is as good as a given one.
    const made = new ResumeTokenWriter('odd', state!.epoch).write(1);
    const resumed = await collectStream(each, api, { user: 'odd' }, { resumeToken: made }).untilLive();
    assert.deepEqual(
      resumed.changes.map(({ sequence }) => sequence),
      [2, 3],
    );
    await resumed.cancel();
    // Retention has removed a prefix.
    await store.sql("UPDATE inboxes SET pruned_seq = 2 WHERE user_id = 'odd'");
    const error = await collectStream(each, api, { user: 'odd' }, { resumeToken: made }).untilRefused();
    assert.deepEqual([error.code, error.reason], ['OUT_OF_RANGE', 'RESUME_TOKEN_EXPIRED']);
    await unharmed();
  });

  await t.test('intervals and filters', async (each) => {
    const refusal = async (request: StreamAlertsRequest) => {
      const error = await collectStream(each, api, { user: 'odd' }, request).untilRefused();
      return [error.code, ...error.fields];
    };
    const INT64_MIN = '-9223372036854775808';
    for (const [seconds, nanos] of [
      [0, 0],
      [0, 999_999_999],
      [1, -1],
      [300, 1],
      [0, -2_147_483_648],
      [INT64_MIN, 0],
      [INT64_MIN, 2_147_483_647],
    ] as const) {
      const checkpointInterval = { seconds, nanos };
      assert.deepEqual(await refusal({ checkpointInterval }), ['INVALID_ARGUMENT', 'checkpoint_interval']);
    }
    // Not a number in JavaScript is 0 on the wire.
    assert.deepEqual(await refusal({ checkpointInterval: { seconds: 0, nanos: NaN } }), [
      'INVALID_ARGUMENT',
      'checkpoint_interval',
    ]);
    assert.deepEqual(await refusal({ filter: { kinds: ['ALERT_KIND_UNSPECIFIED'] } }), [
      'INVALID_ARGUMENT',
      'filter.kinds[0]',
    ]);
    assert.deepEqual(await refusal({ filter: { minimumLevel: -1 as never } }), [
      'INVALID_ARGUMENT',
      'filter.minimum_level',
    ]);
    // So many violations do not fit into a status: the first ones, and how many more.
    const unknown = (length: number) => ({ filter: { kinds: Array.from({ length }, () => 99 as never) } });
    const [code, ...fields] = await refusal(unknown(100));
    assert.equal(code, 'INVALID_ARGUMENT');
    assert.ok(fields.length > 5 && fields.length < 100, `${fields.length} violations were sent`);
    // A list beyond its bound is not looked into.
    assert.deepEqual(await refusal(unknown(10_000)), ['INVALID_ARGUMENT', 'filter.kinds']);
    const kinds = Array.from({ length: 100 }, () => 'ALERT_KIND_ISSUE' as const);
    const allowed = await collectStream(each, api, { user: 'odd' }, { filter: { kinds } }).untilLive();
    await allowed.cancel();
    const error = await collectStream(each, api, { caller: 'svc' }, { userId: 'u'.repeat(100_000) }).untilRefused();
    assert.deepEqual([error.code, error.reason], ['NOT_FOUND', 'USER_NOT_FOUND']);
    await unharmed();
  });

  await t.test('metadata', async (each) => {
    const wrong: readonly [what: string, headers: http2.OutgoingHttpHeaders, status: string][] = [
      ['none', {}, 'UNAUTHENTICATED'],
      ['both', { 'x-user-id': 'odd', 'x-caller': 'svc' }, 'INVALID_ARGUMENT'],
      ['both, one of them empty', { 'x-user-id': 'odd', 'x-caller': '' }, 'INVALID_ARGUMENT'],
      // HTTP/2 joins them: nobody is called 'odd, other'.
      ['twice', { 'x-user-id': ['odd', 'other'] }, 'NOT_FOUND'],
      ['a binary header', { 'x-user-id-bin': Buffer.from('odd').toString('base64') }, 'UNAUTHENTICATED'],
      ['too long', { 'x-user-id': 'u'.repeat(129) }, 'INVALID_ARGUMENT'],
      ['not ASCII', { 'x-user-id': 'ödd' }, 'UNAUTHENTICATED'],
      ['another name of it', { 'x-user-id': 'ODD' }, 'NOT_FOUND'],
    ];
    for (const [what, headers, status] of wrong) {
      const { call, answer } = bareCall(each, service.grpc, headers);
      call.end(framed({}));
      await untilTrue(() => answer.closed, { what: `the call with ${what} ends` });
      assert.equal(answer.status, status, what);
    }
    await unharmed();
  });

  await t.test('a user that no statement can ask for does not fail those that are looked up with it', async (each) => {
    const open = (userId: string) => collectStream(each, api, { caller: 'svc' }, { userId });
    const good = ['odd', 'other', 'flood'].map(open);
    const bad = open('odd\0');
    const rest = ['still', 'half'].map(open);
    const error = await bad.untilRefused();
    assert.deepEqual([error.code, error.reason, error.fields], ['INVALID_ARGUMENT', 'INVALID_FIELDS', ['user_id']]);
    for (const stream of [...good, ...rest]) await stream.untilLive();
    for (const stream of [...good, ...rest]) await stream.cancel();
    await unharmed();
  });

  await t.test('a request that never ends opens nothing, and goes with its connection', async (each) => {
    const { session, call, answer } = bareCall(each, service.grpc, { 'x-user-id': 'half' });
    call.write(framed({}));
    const ended = await collectStream(each, api, { user: 'half' }).untilLive();
    assert.equal(await open(), 2);
    assert.equal(answer.status, undefined);
    await ended.cancel();
    session.destroy();
    await unharmed();
  });

  await t.test('a client that closes its half of the connection', async (each) => {
    const proxy = await TcpProxy.listen(Number(service.grpc.split(':')[1]));
    each.after(() => proxy.close());
    const { call, session } = bareCall(each, proxy.address, { 'x-user-id': 'half' });
    call.end(framed({}));
    await untilTrue(async () => (await open()) === 2, { what: 'its stream is open' });
    proxy.halfClose('server');
    await unharmed();
    session.destroy();
  });

  await t.test('hundreds of streams of one user at once, beyond the limit', async (each) => {
    const flood = Array.from({ length: 400 }, () => collectStream(each, api, { user: 'flood' }, BEGINNING));
    await untilTrue(() => flood.every((stream) => stream.isLive || stream.hasEnded), {
      timeoutMs: 30_000,
      what: 'each has an answer',
    });
    const live = flood.filter((stream) => !stream.hasEnded);
    assert.equal(live.length, PER_USER);
    for (const { error } of flood.filter((stream) => stream.hasEnded)) {
      assert.deepEqual([error!.code, error!.reason], ['RESOURCE_EXHAUSTED', 'TOO_MANY_STREAMS_OF_USER']);
      assert.ok(error!.details.retryAfterMs! > 0);
    }
    // Those who were let in are served all the same.
    const ids = await create('flood');
    for (const stream of live) await stream.untilAlerts(ids);
    for (const stream of live) await stream.cancel();
    await unharmed();
  });

  await t.test('streams that are opened and cancelled, again and again', async (each) => {
    for (let round = 0; round < 20; round += 1) {
      const streams: CollectedStream[] = [];
      for (let count = 0; count < 20; count += 1) streams.push(collectStream(each, api, { user: 'flood' }, BEGINNING));
      // At once, and at whatever stage of their opening the next turns find them.
      for (const stream of streams) {
        if (round % 2 === 0) await turn();
        void stream.cancel();
      }
      await untilTrue(() => streams.every(({ hasEnded }) => hasEnded), { what: 'all are cancelled' });
    }
    await unharmed();
    // The limit counts what is open, not what was.
    const last = Array.from({ length: PER_USER }, () => collectStream(each, api, { user: 'flood' }, BEGINNING));
    for (const stream of last) await stream.untilLive();
    for (const stream of last) await stream.cancel();
    await unharmed();
  });

  await t.test('a client that never reads is ended', async (each) => {
    const { session, call, answer } = bareCall(each, service.grpc, { 'x-user-id': 'still' });
    call.pause();
    call.end(framed(BEGINNING));
    await untilTrue(async () => (await open()) === 2, { what: 'its stream is open' });
    // Far more than HTTP/2's window of 64 KiB.
    await create('still', 40, 'x'.repeat(16_000));
    await unharmed();
    call.resume();
    await untilTrue(() => answer.closed, { what: 'the call ends' });
    // Undefined: not even its status was read in time, and the call was reset.
    assert.ok(answer.status === undefined || answer.status === 'RESOURCE_EXHAUSTED', answer.status);
    session.destroy();
    const reading = await collectStream(each, api, { user: 'still' }, BEGINNING).untilLive();
    await assertFoldEqualsInbox(api, 'still', reading.folded);
    await reading.cancel();
    await unharmed();
  });
});

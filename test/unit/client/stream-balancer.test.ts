import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { createClient } from '../../../services/client/client.js';
import { AlertError, type ErrorCode } from '../../../services/domain/errors.js';
import { toStatus } from '../../../services/lib/grpc/status.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { untilTrue } from '../../support/until-true.js';
import { closeAfter, fakeService, refuse, type StreamCall } from './fake-service.js';

const SOON = { baseMs: 1, capMs: 5 };
const identity = { userId: 'op01' };

/** A gateway that sends a checkpoint every 100 ms; its calls in the order in which they came. */
async function gateway(t: TestContext, name: string, answer: (call: StreamCall) => void) {
  const calls: StreamCall[] = [];
  const address = await fakeService(t, {
    StreamAlerts: (call: StreamCall) => {
      calls.push(call);
      const checkpoint = () => call.write({ changes: [], resumeToken: name });
      const timer = setInterval(checkpoint, 100);
      call.on('cancelled', () => clearInterval(timer)).on('close', () => clearInterval(timer));
      checkpoint();
      answer(call);
    },
  });
  return { calls, port: Number(address.split(':')[1]) };
}

function refuseWith(call: StreamCall, code: ErrorCode, reason: string): void {
  refuse(call, toStatus(new AlertError(code, reason, 'elsewhere', { retryAfterMs: 5 })));
}

async function balanced(t: TestContext, ...gateways: { port: number }[]): Promise<TcpProxy> {
  const balancer = await TcpProxy.listen(gateways.map(({ port }) => port));
  t.after(() => balancer.close());
  return balancer;
}

for (const [code, reason] of [
  ['UNAVAILABLE', 'STREAM_MAX_AGE'],
  ['UNAVAILABLE', 'SHUTTING_DOWN'],
  ['RESOURCE_EXHAUSTED', 'TOO_MANY_STREAMS'],
] as const) {
  test(`after ${reason} the stream goes on over a new connection, and a balancer moves it`, async (t) => {
    const first = await gateway(t, 'first', (call) => refuseWith(call, code, reason));
    const second = await gateway(t, 'second', () => undefined);
    const balancer = await balanced(t, first, second);
    const client = closeAfter(t, createClient({ address: balancer.address, identity }));
    for await (const { resumeToken } of client.streamAlerts({ reconnect: SOON })) if (resumeToken === 'second') break;
    assert.deepEqual([first.calls.length, second.calls.length], [1, 1]);
    // The one that nobody uses any more is given back.
    await untilTrue(() => balancer.connections === 1, { what: 'one connection is left' });
  });
}

test('streams of the same client stay where they are when one of them moves', async (t) => {
  const first = await gateway(t, 'first', () => undefined);
  const second = await gateway(t, 'second', () => undefined);
  const balancer = await balanced(t, first, second);
  const client = closeAfter(t, createClient({ address: balancer.address, identity }));
  const losses: string[] = [];
  const seen = { moved: '', stays: 0 };
  const follow = async (name: 'moved' | 'stays') => {
    const onEvent = ({ type }: { type: string }) => type === 'lost' && losses.push(name);
    for await (const { resumeToken } of client.streamAlerts({ reconnect: SOON, onEvent })) {
      if (name === 'moved') seen.moved = resumeToken;
      else seen.stays += 1;
    }
  };
  const moved = follow('moved');
  await untilTrue(() => seen.moved === 'first', { what: 'the first stream is there' });
  const stays = follow('stays');
  await untilTrue(() => seen.stays > 0, { what: 'the second stream is there' });
  refuseWith(first.calls[0]!, 'UNAVAILABLE', 'STREAM_MAX_AGE');
  await untilTrue(() => seen.moved === 'second', { what: 'the first stream has moved' });
  const before = seen.stays;
  await untilTrue(() => seen.stays >= before + 3, { what: 'the second stream goes on' });
  assert.deepEqual(losses, ['moved']);
  assert.deepEqual([first.calls.length, second.calls.length], [2, 1]);
  assert.equal(balancer.connections, 2);
  // When it ends too, its connection does.
  refuseWith(first.calls[1]!, 'UNAVAILABLE', 'STREAM_MAX_AGE');
  await untilTrue(() => balancer.connections === 1, { what: 'one connection is left' });
  client.close();
  await Promise.all([moved, stays]);
});

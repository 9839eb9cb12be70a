import assert from 'node:assert/strict';
import test from 'node:test';
import { alertService, type AlertServiceDeps } from '../../../services/alert-api/alert-service.js';
import type { CallContext } from '../../../services/lib/grpc/call-context.js';
import { callerKey, type Identity } from '../../../services/lib/grpc/identity.js';

test('large alerts are read in the turns in which they are decoded: a user and a service of one name are two', async () => {
  const callers: string[] = [];
  const run = (caller: string) => {
    callers.push(caller);
    return Promise.reject(new Error('enough'));
  };
  const deps = {
    batcher: { room: { enter: () => () => undefined } },
    computations: { run },
    metrics: { counter: () => undefined },
  };
  const { CreateAlert, BatchCreateAlerts } = alertService(deps as unknown as AlertServiceDeps);
  const large = { message: 'x'.repeat(20_000), recipients: null };
  for (const kind of ['user', 'service'] as const) {
    const identity: Identity = {
      kind,
      subject: 'grafana',
      scopes: new Set(['alerts:create'] as const),
      credential: 'dev',
    };
    const call = { identity, signal: new AbortController().signal } as unknown as CallContext;
    await assert.rejects(CreateAlert(large as never, call), /enough/);
    await assert.rejects(
      BatchCreateAlerts({ requests: Array.from({ length: 51 }, () => large) } as never, call),
      /enough/,
    );
    assert.deepEqual(callers.splice(0), [callerKey(identity), callerKey(identity)]);
  }
  assert.notEqual(callerKey({ kind: 'user' } as Identity), callerKey({ kind: 'service' } as Identity));
});

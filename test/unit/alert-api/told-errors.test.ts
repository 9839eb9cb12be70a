import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { alertService, type AlertServiceDeps } from '../../../services/alert-api/alert-service.js';
import { devIdentity } from '../../../services/api/access.js';
import { api } from '../../../services/api/protos.js';
import { reflectedFiles } from '../../../services/api/reflection.js';
import { AlertError, invalidArgument } from '../../../services/domain/errors.js';
import { GrpcServer } from '../../../services/lib/grpc/server.js';
import type { Logger } from '../../../services/lib/logging.js';
import type { Database } from '../../../services/lib/postgres.js';
import { CallEnded, DatabaseEnding } from '../../../services/lib/postgres.js';
import { Metrics } from '../../../services/lib/telemetry/metrics.js';
import { Tracing } from '../../../services/lib/telemetry/tracing.js';
import { EventLoopTurns } from '../../../services/lib/turns.js';
import { connectApi, failureOf } from '../../support/api.js';
import { defer } from '../../support/defer.js';
import { limitsOf } from '../../support/limits.js';

const postgres = (code: string) => Object.assign(new Error('PostgreSQL says no'), { code, severity: 'ERROR' });

const ERRORS: Readonly<Record<string, readonly [thrown: Error, code: string, reason: string, logged: number]>> = {
  'a value that PostgreSQL does not take': [postgres('22003'), 'INVALID_ARGUMENT', 'INVALID_FIELDS', 0],
  'an outage': [postgres('ECONNREFUSED'), 'UNAVAILABLE', 'DATABASE_UNAVAILABLE', 1],
  'a lock that others hold': [postgres('55P03'), 'UNAVAILABLE', 'DATABASE_BUSY', 1],
  'the end of this process': [new DatabaseEnding(), 'UNAVAILABLE', 'SHUTTING_DOWN', 1],
  'nobody who waits': [new CallEnded(), 'CANCELLED', 'CALL_ENDED', 0],
  'what nobody foresaw': [new TypeError('x is not a function'), 'INTERNAL', 'INTERNAL', 1],
  'a refusal with violations': [
    invalidArgument(Array.from({ length: 50 }, (_, index) => ({ field: `f[${index}]`, description: 'd'.repeat(400) }))),
    'INVALID_ARGUMENT',
    'INVALID_FIELDS',
    0,
  ],
  'a refusal with a time to wait': [
    new AlertError('RESOURCE_EXHAUSTED', 'TOO_MANY_REQUESTS', 'm'.repeat(2000), { retryAfterMs: 1500 }),
    'RESOURCE_EXHAUSTED',
    'TOO_MANY_REQUESTS',
    0,
  ],
};

test('what is wrong is said alike of a call and of an item of a batch, and logged once for what failed together', async (t) => {
  let thrown: Error = new Error('not set');
  const { address, logged } = await serve(t, () => Promise.reject(thrown));
  const client = connectApi(t, address);
  const alert = { kind: 'ALERT_KIND_OTHER', level: 'ALERT_LEVEL_INFO', appName: 'a', title: 't' } as const;
  for (const [what, [error, code, reason, logs]] of Object.entries(ERRORS)) {
    thrown = error;
    const alone = await failureOf(client.call('CreateAlert', alert));
    assert.deepEqual([alone.code, alone.reason, logged.splice(0).length], [code, reason, logs], what);
    const { results } = await client.call('BatchCreateAlerts', { requests: [alert, alert, alert] });
    assert.equal(logged.splice(0).length, logs, what);
    const { details } = alone;
    for (const { error: item } of results) {
      const { cause } = alone as { cause: { code: number; details: string } };
      assert.deepEqual([item!.code, item!.message, item!.reason], [cause.code, cause.details, details.reason], what);
      assert.deepEqual(item!.fieldViolations, details.violations, what);
      assert.equal(item!.retryAfterMs, details.retryAfterMs ?? 0, what);
    }
  }
});

/** alert-api's first service, whose alerts are stored as `create` says. */
async function serve(t: TestContext, create: () => Promise<never>): Promise<{ address: string; logged: unknown[] }> {
  const logged: unknown[] = [];
  const log = (_facts: object, message: string) => logged.push(message);
  const metrics = new Metrics('test');
  const server = new GrpcServer({
    logger: { warn: log, error: log } as unknown as Logger,
    tracing: Tracing.off(),
    metrics,
    authenticate: devIdentity,
    guard: () => () => undefined,
    database: {} as unknown as Database,
    reflected: reflectedFiles(),
    maxMessageBytes: 1_048_576,
    connectionsMax: 10,
    connectionsPerAddressMax: 0,
    callsPerConnectionMax: 100,
    limits: limitsOf(),
  });
  const deps = { batcher: { create }, computations: new EventLoopTurns(), metrics };
  server.addService(api.AlertService.service, { ...alertService(deps as unknown as AlertServiceDeps) });
  const port = await server.listen('127.0.0.1:0');
  defer(t, () => server.shutdown(0, () => undefined));
  return { address: `127.0.0.1:${port}`, logged };
}

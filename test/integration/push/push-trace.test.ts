import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { describe, it } from 'node:test';
import { type OtlpReceiver, startOtlpReceiver } from '../../support/otlp-receiver.js';
import { type PushCluster, startPushCluster } from '../../support/push.js';
import { redrive } from '../../support/redrive.js';
import { untilSpan } from '../../support/traced.js';

const CREATE = 'ssom.alert.v1.AlertService/CreateAlert';

async function startTracedPush(t: TestContext): Promise<{ push: PushCluster; receiver: OtlpReceiver }> {
  const receiver = await startOtlpReceiver(t);
  const push = await startPushCluster(t, {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_BSP_SCHEDULE_DELAY: '20',
  });
  return { push, receiver };
}

// Each waits most of the time, for a broker of its own.
describe('a push that comes late', { concurrency: 3 }, () => {
  it('because the role was away has a span of its wait, beside the call of FCM', async (t) => {
    const { push, receiver } = await startTracedPush(t);
    await push.register('op1');
    const alertId = await push.create(['op1']);
    await untilSpan({ receiver }, 'process user-alert-topic');
    await push.start({ slowProcessingMs: 0 });
    const waited = await untilSpan({ receiver }, 'wait in push');
    const sent = await untilSpan({ receiver }, 'send fcm');
    assert.equal(waited.attributes['ssom.alert.id'], alertId);
    assert.deepEqual([waited.traceId, waited.parentId], [sent.traceId, sent.parentId]);
    assert.equal(receiver.parentOf(waited)!.name, CREATE);
  });

  it('because FCM refused it names what FCM said, and not before it was sent', async (t) => {
    const { push, receiver } = await startTracedPush(t);
    const token = await push.register('op1');
    await push.fcm.rule({ token, error: 'QUOTA_EXCEEDED', retryAfter: 1, times: 1 });
    await push.start({ slowProcessingMs: 500 });
    await push.create(['op1']);
    const waited = await untilSpan({ receiver }, 'wait in push');
    assert.equal(waited.attributes['ssom.wait.reason'], 'messaging/message-rate-exceeded');
    const sent = await untilSpan({ receiver }, 'send fcm', ({ failed }) => !failed);
    assert.equal(sent.attributes['ssom.push.attempt'], 2);
    assert.equal(receiver.named('send fcm').filter(({ failed }) => failed).length, 1);
    assert.equal(receiver.named('wait in push').length, 1);
  });

  it('because it lay among the dead letters shows that it was sent back', async (t) => {
    const { push, receiver } = await startTracedPush(t);
    const token = await push.register('op1');
    const ruleId = await push.fcm.rule({ token, validateOnly: false, error: 'INVALID_ARGUMENT' });
    await push.cluster.start('push');
    const alertId = await push.create(['op1']);
    const letter = await untilSpan({ receiver }, 'send inbox-change-topic-dlq');
    await push.settles(alertId, 'failed');
    await push.fcm.removeRule(ruleId);
    await redrive(push.cluster, 'inbox-change-topic');
    const again = await untilSpan({ receiver }, 'process inbox-change-topic');
    assert.deepEqual([again.attributes['ssom.redrives'], again.attributes['ssom.alert.id']], [1, alertId]);
    const sent = await untilSpan({ receiver }, 'send fcm', ({ failed }) => !failed);
    assert.deepEqual([letter.traceId, again.traceId], [sent.traceId, sent.traceId]);
  });
});

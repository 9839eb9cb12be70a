import assert from 'node:assert/strict';
import test from 'node:test';
import { toAlertMessage } from '../../../services/api/messages.js';
import { api } from '../../../services/api/protos.js';
import type { StoredAlert } from '../../../services/domain/alert.js';
import type { StreamAlertsResponse } from '../../../services/gen/types.js';
import type { Database } from '../../../services/lib/postgres.js';
import { AlertContents } from '../../../services/stream-gateway/alert-contents.js';
import { type EncodableChange, encodeResponse } from '../../../services/stream-gateway/response-encoder.js';

const ALERTS: StoredAlert[] = [
  {
    alertId: 1,
    kind: 'OPENSEARCH',
    level: 'INFO',
    appName: 'a',
    title: 't',
    message: '',
    sourceId: '',
    labels: {},
    occurredAt: 1_700_000_000_000,
    createdAt: 1_700_000_000_001,
  },
  {
    alertId: 2 ** 53 - 1,
    kind: 'OTHER',
    level: 'CRITICAL',
    appName: 'ssok-bank',
    title: '제목 😀',
    message: 'x'.repeat(300),
    sourceId: 'https://example.com',
    labels: { k: 'v', 키: '값' },
    occurredAt: 1_700_000_000_999,
    createdAt: 0,
  },
];

/** As the database's driver would hand them over. */
const rows = ALERTS.map((alert) => ({
  alert_id: alert.alertId,
  kind: alert.kind,
  level: alert.level === 'INFO' ? 1 : 4,
  app_name: alert.appName,
  title: alert.title,
  message: alert.message,
  source_id: alert.sourceId,
  labels: alert.labels,
  occurred_at: alert.occurredAt,
  created_at: alert.createdAt,
}));

async function contents(): Promise<AlertContents> {
  const database = { query: () => Promise.resolve({ rows, rowCount: rows.length }) };
  const cache = new AlertContents(database as unknown as Database, 10);
  await cache.load(ALERTS.map(({ alertId }) => alertId));
  return cache;
}

const { responseSerialize, responseDeserialize } = api.AlertStreamService.service.StreamAlerts;

test("the bytes are those of proto-loader's own serialisation", async () => {
  const cache = await contents();
  const cases: { changes: EncodableChange[]; token: string; unread: number }[] = [];
  for (const change of ['CREATED', 'READ', 'UNREAD'] as const) {
    for (const isRead of [false, true]) {
      const changes = ALERTS.map(({ alertId }, index) => ({
        alertId,
        sequence: index === 0 ? 1 : 2 ** 53 - 1,
        change,
        isRead,
        content: cache.get(alertId)!.bytes,
      }));
      cases.push({ changes, token: 'token', unread: isRead ? 0 : 2 ** 31 - 1 });
    }
  }
  cases.push({ changes: [], token: 'checkpoint', unread: 5 }, { changes: [], token: 'x', unread: 0 });
  for (const alertId of [1, 300, 2 ** 53 - 1]) {
    const deleted = { alertId, sequence: 300, change: 'DELETED', isRead: true, content: undefined } as const;
    cases.push({ changes: [deleted], token: 't', unread: 1 });
  }
  for (const { changes, token, unread } of cases) {
    const expected: StreamAlertsResponse = {
      changes: changes.map(({ alertId, sequence, change, isRead, content }) => ({
        type: `INBOX_CHANGE_TYPE_${change}`,
        sequence,
        // What is set explicitly is written, even if it is the default.
        ...(isRead ? { isRead } : {}),
        alert: content === undefined ? { alertId } : toAlertMessage(ALERTS.find((one) => one.alertId === alertId)!),
      })),
      resumeToken: token,
      ...(unread > 0 ? { unreadCount: unread, behind: 3 * unread } : {}),
    };
    const bytes = encodeResponse(changes, token, unread, 3 * unread);
    assert.deepEqual(responseDeserialize(bytes), responseDeserialize(responseSerialize(expected)));
    assert.ok(bytes.equals(responseSerialize(expected)), `${changes[0]?.change ?? 'checkpoint'}: other bytes`);
  }
});

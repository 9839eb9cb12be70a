import assert from 'node:assert/strict';
import test from 'node:test';
import { alertJobs, devicesWithSeveral, dismissalJobs } from '../../../services/push/push-jobs.js';
import type { ClaimedPush } from '../../../services/store/pushes.js';

function claim(alertId: number, rest: Partial<ClaimedPush> = {}): ClaimedPush {
  return {
    deviceId: 1,
    alertId,
    userId: 'op1',
    claimedUntil: 0,
    attempts: 1,
    strikes: 0,
    dismiss: false,
    plannedFor: 0,
    lastError: null,
    expiresAt: 2000,
    now: 1000,
    device: { token: 'token', platform: 'ANDROID', refreshedAt: 0, refusals: 0, inRow: 0, ownInRow: 0, waitsMs: 0 },
    alert: { kind: 'OTHER', level: 'INFO', appName: 'a', title: 't', message: '', createdAt: 0, traceparent: null },
    entry: { sequence: alertId * 10, isRead: false, isDeleted: false },
    unreadCount: 0,
    ...rest,
  };
}

test('what is read, deleted, gone or too old is not sent', () => {
  const entry = { sequence: 1, isRead: false, isDeleted: false };
  const { jobs, ended } = alertJobs(
    [
      claim(1),
      claim(2, { entry: { ...entry, isRead: true } }),
      claim(3, { entry: { ...entry, isDeleted: true } }),
      claim(4, { entry: null }),
      claim(5, { device: null }),
      claim(6, { alert: null }),
      claim(7, { now: 2000 }),
    ],
    'time-sensitive',
  );
  assert.deepEqual(
    jobs.map(({ claims }) => claims.map(({ alertId }) => alertId)),
    [[1]],
  );
  assert.deepEqual(
    ended.map(({ reason }) => reason),
    ['read', 'deleted', 'gone', 'gone', 'gone', 'expired'],
  );
});

test('several dismissals of a device are one message: up to the last one, if nothing below it is still shown', () => {
  const claims = [claim(5), claim(3), claim(4, { deviceId: 2 }), claim(9)];
  assert.deepEqual(devicesWithSeveral(claims), [1]);
  const dataOf = (firstShown: [number, number][]) =>
    dismissalJobs(claims, new Map(firstShown)).jobs.map(({ message }) => message.data);
  const single = { type: 'dismiss', alert_ids: '4', unread_count: '0' };
  assert.deepEqual(dataOf([]), [{ type: 'read_up_to', alert_id: '9', sequence: '90', unread_count: '0' }, single]);
  assert.deepEqual(dataOf([[1, 10]]), dataOf([]));
  assert.deepEqual(dataOf([[1, 4]]), [{ type: 'dismiss', alert_ids: '3,5,9', unread_count: '0' }, single]);
});

test('a long list of dismissals is divided, so that each message fits', () => {
  const claims = Array.from({ length: 250 }, (_, index) => claim(index + 1));
  const { jobs } = dismissalJobs(claims, new Map([[1, 2]]));
  assert.deepEqual(
    jobs.map((job) => job.claims.length),
    [100, 100, 50],
  );
});

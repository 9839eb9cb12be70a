// Messages that FCM refuses, and the fields that its answer names. What the push role must never send.
import assert from 'node:assert/strict';
import test from 'node:test';
import { sampleMessage } from './bare-loop.js';
import { type Fcm, startFcm } from './client.js';

const TOKEN = 'a-device-of-somebody-0001';
const korean = (bytes: number) => '가'.repeat(bytes / 3);
const message = (fields: object) => ({ message: { token: TOKEN, ...fields } });
const apns = (headers: object, payload: object = { aps: { badge: 1 } }) => message({ apns: { headers, payload } });

/** What is wrong, the request, and the start of the violation's description. */
const REFUSED: readonly [string, unknown, RegExp][] = [
  ['no JSON', '{"message":', /^Invalid JSON payload/],
  ['a list', [], /^Invalid JSON payload/],
  ['bytes that are no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), /^Invalid JSON payload/],
  ['no message', {}, /^Recipient of the message is not set/],
  ['no target', { message: { data: {} } }, /^Recipient of the message is not set/],
  ['an empty token', { message: { token: '' } }, /^Recipient of the message is not set/],
  ['two targets', message({ topic: 'news' }), /oneof field 'target' is already set/],
  ['a token with a space', { message: { token: `${TOKEN} ` } }, /^The registration token is not a valid FCM/],
  ['a token of 5 KB', { message: { token: 'x'.repeat(5120) } }, /^The registration token is not a valid FCM/],
  ['a topic with a space', { message: { topic: 'the news' } }, /^Invalid topic name/],
  ['an unknown field of the request', { ...message({}), dry_run: true }, /Unknown name "dry_run": Cannot find field/],
  ['an unknown field', message({ badge: 3 }), /Unknown name "badge" at 'message': Cannot find field/],
  [
    'an unknown field deep inside',
    message({ android: { notification: { badge: 3 } } }),
    /Unknown name "badge" at 'message.android.notification'/,
  ],
  ['a token that is a number', { message: { token: 12 } }, /^Invalid value at 'message.token' \(TYPE_STRING\), 12$/],
  [
    'a number as data',
    message({ data: { a: '1', b: 12 } }),
    /^Invalid value at 'message.data\[1\].value' \(TYPE_STRING\), 12$/,
  ],
  [
    'half of an emoji',
    message({ notification: { body: 'on fire \ud83d' } }),
    /^Invalid value at 'message.notification.body'/,
  ],
  [
    'half of an emoji for iOS',
    apns({}, { aps: { alert: { body: '\ude00' } } }),
    /^Invalid value at 'message.apns.payload'/,
  ],
  ['data with a reserved key', message({ data: { from: 'x' } }), /^Invalid data payload key: from/],
  ['data with message_type', message({ data: { message_type: 'x' } }), /^Invalid data payload key: message_type/],
  ['data with google.', message({ android: { data: { 'google.x': 'x' } } }), /^Invalid data payload key: google.x/],
  ['data with gcm.', message({ webpush: { data: { 'gcm.x': 'x' } } }), /^Invalid data payload key: gcm.x/],
  ['4,097 bytes of data', message({ data: { a: 'x'.repeat(4096) } }), /^Android message is too big/],
  [
    '4,097 bytes in Korean',
    message({ notification: { body: korean(4092) }, data: { a: '' } }),
    /^Android message is too big/,
  ],
  ['a priority of APNs for Android', message({ android: { priority: '10' } }), /AndroidMessagePriority\), "10"$/],
  ['a TTL without its unit', message({ android: { ttl: '3600' } }), /protobuf.Duration\), "3600"$/],
  ['a TTL that is a number', message({ android: { ttl: 3600 } }), /protobuf.Duration\), 3600$/],
  ['a TTL above four weeks', message({ android: { ttl: '2419201s' } }), /^Invalid android ttl/],
  ['a TTL below 0', message({ android: { ttl: '-1s' } }), /^Invalid android ttl/],
  ['a count that is text', message({ android: { notification: { notification_count: '3' } } }), /\(TYPE_INT32\), "3"$/],
  [
    'a count with a fraction',
    message({ android: { notification: { notification_count: 1.5 } } }),
    /\(TYPE_INT32\), 1.5$/,
  ],
  ['a colour by name', message({ android: { notification: { color: 'red' } } }), /^Invalid color/],
  ['a time of another form', message({ android: { notification: { event_time: 'today' } } }), /protobuf.Timestamp/],
  ['a list that is none', message({ android: { notification: { title_loc_args: 'x' } } }), /title_loc_args/],
  ['APNs headers that are numbers', apns({ 'apns-priority': 10 }), /\(TYPE_STRING\), 10$/],
  ['an APNs priority of 7', apns({ 'apns-priority': '7' }), /^BadPriority/],
  ['a push type that is none', apns({ 'apns-push-type': 'loud' }), /^InvalidPushType/],
  ['an expiration that is a date', apns({ 'apns-expiration': '2026-01-01' }), /^BadExpirationDate/],
  ['a collapse id of 66 bytes', apns({ 'apns-collapse-id': korean(66) }), /^BadCollapseId/],
  [
    'priority 10 for a message that shows nothing',
    apns({ 'apns-priority': '10' }, { aps: { 'content-available': 1 } }),
    /apns-priority 5/,
  ],
  ['priority 10 in the background', apns({ 'APNS-Priority': '10', 'apns-push-type': 'background' }), /apns-priority 5/],
  ['an empty aps', apns({}, { aps: {} }), /^aps is empty/],
  ['no aps', apns({}, {}), /^aps is empty/],
  ['a badge that is text', apns({}, { aps: { badge: '3' } }), /^Invalid badge/],
  ['a payload that is text', message({ apns: { payload: '{}' } }), /protobuf.Struct/],
  [
    '4,097 bytes for APNs',
    apns({}, { aps: { alert: 'x'.repeat(4096 - '{"aps":{"alert":""}}'.length + 1) } }),
    /^APNS payload/,
  ],
  ['a sound that is too loud', apns({}, { aps: { sound: { critical: 1, name: 'a', volume: 2 } } }), /^Invalid sound/],
  ['a critical sound without a name', apns({}, { aps: { sound: { critical: 1 } } }), /^Invalid sound/],
  ['an interruption level that is none', apns({}, { aps: { 'interruption-level': 'loud' } }), /^Invalid interruption/],
  ['a Web Push TTL with its unit', message({ webpush: { headers: { TTL: '60s' } } }), /^Invalid TTL/],
  ['a Web Push topic of 33 characters', message({ webpush: { headers: { Topic: 'x'.repeat(33) } } }), /^Invalid Topic/],
  ['an urgency that is none', message({ webpush: { headers: { Urgency: 'now' } } }), /^Invalid Urgency/],
  ['a link without TLS', message({ webpush: { fcm_options: { link: 'http://x' } } }), /^HTTPS is required/],
  ['4 KB for Web Push', message({ webpush: { notification: { body: 'x'.repeat(4096) } } }), /^Web Push payload/],
  ['an analytics label with a space', message({ fcm_options: { analytics_label: 'a b' } }), /^Invalid analytics label/],
  ['a body of 11 MB', { message: { token: 'x'.repeat(11_000_000) } }, /^Request payload size exceeds the limit/],
];

const ACCEPTED: readonly [string, unknown][] = [
  ['a message for every platform', { message: sampleMessage(0) }],
  [
    'names in camelCase',
    message({ android: { collapseKey: '1', notification: { channelId: 'a', titleLocArgs: ['x'] } } }),
  ],
  ['null as if it were absent', message({ topic: null, notification: null })],
  ['a topic', { message: { topic: 'news' } }],
  ['a condition', { message: { condition: "'a' in topics" } }],
  ['4,096 bytes of data', message({ data: { a: 'x'.repeat(4095) } })],
  ['4,096 bytes in Korean', message({ notification: { body: korean(4092) } })],
  ['4,096 bytes for APNs', apns({}, { aps: { alert: 'x'.repeat(4096 - '{"aps":{"alert":""}}'.length) } })],
  ['whole emoji', message({ notification: { body: 'on fire 🔥' } })],
  ['a TTL of 0', message({ android: { ttl: '0s' } })],
  ['a TTL of four weeks', message({ android: { ttl: '2419200s' } })],
  [
    'a critical sound',
    apns(
      {},
      { aps: { alert: 'x', sound: { critical: 1, name: 'default', volume: 1 }, 'interruption-level': 'critical' } },
    ),
  ],
  ['a collapse id of 64 bytes', apns({ 'apns-collapse-id': 'x'.repeat(64) })],
  ['priority 5 for a message that shows nothing', apns({ 'apns-priority': '5' }, { aps: { 'content-available': 1 } })],
];

interface Failure {
  readonly error: {
    readonly status: string;
    readonly message: string;
    readonly details?: readonly { readonly '@type': string; readonly errorCode?: string }[];
  };
}

function poster({ url, projectId }: Fcm, accessToken: string) {
  return (request: unknown) =>
    fetch(`${url}/v1/projects/${projectId}/messages:send`, {
      method: 'POST',
      headers: { authorization: `Bearer ${accessToken}` },
      body: typeof request === 'string' || request instanceof Buffer ? request : JSON.stringify(request),
    });
}

test('what FCM documents as wrong is refused as INVALID_ARGUMENT, and says why', async (t) => {
  const fcm = await startFcm(t);
  const post = poster(fcm, await fcm.accessToken());
  for (const [what, request, description] of REFUSED) {
    const answer = await post(request);
    const { error } = (await answer.json()) as Failure;
    assert.equal(answer.status, 400, what);
    assert.equal(error.status, 'INVALID_ARGUMENT', what);
    assert.match(error.message, description, what);
    assert.notEqual(error.details?.length, 0, what);
  }
  assert.equal((await fcm.counts()).accepted, 0);
});

test('what is within the limits is accepted', async (t) => {
  const fcm = await startFcm(t);
  const post = poster(fcm, await fcm.accessToken());
  for (const [what, request] of ACCEPTED) {
    const answer = await post(request);
    assert.equal(answer.status, 200, `${what}: ${await answer.text()}`);
  }
  assert.equal((await fcm.counts()).accepted, ACCEPTED.length);
});

test('every wrong field is named', async (t) => {
  const fcm = await startFcm(t);
  const post = poster(fcm, await fcm.accessToken());
  const answer = await post(message({ badge: 1, android: { ttl: 5, priority: 'LOW' } }));
  const { error } = (await answer.json()) as { error: { details: [{ fieldViolations: { field: string }[] }] } };
  assert.deepEqual(
    error.details[0].fieldViolations.map(({ field }) => field),
    ['message', 'message.android.ttl', 'message.android.priority'],
  );
});

test('validate_only checks, and sends nothing', async (t) => {
  const fcm = await startFcm(t);
  const post = poster(fcm, await fcm.accessToken());
  const answer = await post({ ...message({}), validate_only: true });
  assert.deepEqual(await answer.json(), { name: 'projects/ssom-test/messages/fake_message_id' });
  assert.equal((await post({ ...message({ badge: 1 }), validateOnly: true })).status, 400);
  const { accepted, validated } = await fcm.counts();
  assert.deepEqual({ accepted, validated }, { accepted: 0, validated: 1 });
});

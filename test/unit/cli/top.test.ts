import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { main } from '../../../services/cli/cli.js';
import type { Paint } from '../../../services/cli/views/text.js';
import { History } from '../../../services/cli/views/top-figures.js';
import { frameOf } from '../../../services/cli/views/top-frame.js';
import { untilTrue } from '../../support/until-true.js';
import { fakeContext } from './fake-context.js';
import { closedAddress, roleState, serveHttp, serveRole } from './fake-roles.js';

const plain: Paint = (_style, text) => text;
const noon = new Date(2026, 0, 31, 12, 0, 0);

const inbox = (fast: number, all: number) => [
  `ssom_alert_create_to_inbox_seconds_bucket{le="0.1"} ${fast}`,
  `ssom_alert_create_to_inbox_seconds_bucket{le="1"} ${all}`,
  `ssom_alert_create_to_inbox_seconds_bucket{le="+Inf"} ${all}`,
];

test('rates and latencies are of the last seconds, and nothing is known of the first look', () => {
  const history = new History();
  const first = history.add([roleState('alert-api', ['ssom_alerts_created_total 1000'])], 0);
  assert.equal(first.rates.created, undefined);
  const look = (at: number, created: number, delivered: number, buckets: readonly string[]) =>
    history.add(
      [
        roleState('alert-api', [`ssom_alerts_created_total ${created}`]),
        roleState('delivery', [`ssom_deliveries_total ${delivered}`, ...buckets]),
      ],
      at,
    );
  look(2000, 1010, 500, inbox(100, 100));
  const now = look(4000, 1020, 700, inbox(100, 110));
  assert.equal(now.rates.created, 5);
  // The delivery role was not seen at the first look: what it had counted by then is not of these seconds.
  assert.equal(now.rates.delivered, undefined);
  assert.equal(now.rates.pushed, undefined);
  const later = look(14_000, 1040, 900, inbox(100, 110));
  assert.equal(later.rates.created, 2, 'of the last 10 s');
  assert.equal(later.rates.delivered, 20);
});

test('the latency is of what came in the last minute, and a role that was restarted counts from its start', () => {
  const history = new History();
  const look = (at: number, buckets: readonly string[], dead: number) =>
    history.add([roleState('delivery', [...buckets, `ssom_dead_letters_total ${dead}`])], at);
  look(0, inbox(100, 100), 3);
  const slow = look(2000, inbox(100, 110), 5);
  assert.ok(slow.latency.inbox!.p50 > 0.1);
  assert.deepEqual(slow.deadLetters, { total: 5, recent: 2 });
  const restarted = look(4000, inbox(4, 4), 0);
  assert.ok(restarted.latency.inbox!.p99 <= 0.1);
  assert.deepEqual(restarted.deadLetters, { total: 0, recent: 0 });
  assert.equal(look(120_000, inbox(4, 4), 0).latency.inbox, undefined, 'nothing in the last minute');
});

test('a frame shows what is amiss, and fits its terminal', () => {
  const history = new History();
  const roles = [
    roleState('alert-api', ['ssom_outbox_depth 3', 'ssom_outbox_age 7.5', 'ssom_breaker_state{name="postgresql"} 2']),
    roleState(
      'fanout',
      [
        'ssom_kafka_consumer_lag{group="g-fanout",topic="a",partition="0"} 5',
        'ssom_kafka_consumer_lag{group="g-fanout",topic="a",partition="1"} 7',
        'ssom_kafka_consumer_paused{group="g-fanout"} 1',
        'ssom_triage_waiting{group="g-fanout"} 20',
        'ssom_triage_age{group="g-fanout"} 90',
      ],
      { ready: false, checks: [{ name: 'kafka', ok: false, required: true, reason: 'gone\u001b[2J' }] },
    ),
    roleState('delivery', ['ssom_dead_letters_total{topic="t"} 2'], { away: 'nothing listens there', ready: false }),
  ];
  const lines = frameOf(history.add(roles, 0), noon, undefined, plain);
  const text = lines.join('\n');
  assert.match(text, /12:00:00 {3}1 of 3 processes ready/);
  assert.match(text, /lag +12 {2}g-fanout {3}paused {3}20 set aside for 1 min 30 s {3}most in a-1: 7$/m);
  assert.match(text, /outbox +3 alerts, the oldest for 7\.5 s/);
  assert.match(text, /breakers +postgresql open \(alert-api at alert-api:9464\)/);
  assert.match(text, /fanout +fanout:9464 {2}not ready: kafka: gone\\x1b\[2J/);
  assert.match(text, /delivery +delivery:9464 {2}away: nothing listens there/);
  assert.match(text, /push +none of these/);
  assert.match(text, /created +delivered +streamed +pushed\n +- +- +- +-/);

  const small = frameOf(history.add(roles, 1), noon, { columns: 30, rows: 10 }, plain);
  assert.equal(small.length, 10);
  assert.ok(small.every((line) => line.length <= 30));
  assert.match(small.at(-1)!, /^… \d+ more lines$/);
  const painted = frameOf(history.add(roles, 2), noon, { columns: 20, rows: 50 }, (_style, shown) => `<${shown}>`);
  assert.ok(painted.every((line) => line.replace(/[<>]/g, '').length <= 20));
});

test('a breaker that is half open since nobody calls is shown, and not as something amiss', () => {
  const roles = [
    roleState('delivery', ['ssom_breaker_state{name="schema registry"} 1']),
    roleState('push', ['ssom_breaker_state{name="fcm"} 2']),
  ];
  const styled: Paint = (style, text) => `<${style}:${text}>`;
  const line = (...some: typeof roles) =>
    frameOf(new History().add(some, 0), noon, undefined, styled).find((text) => text.startsWith('breakers'));
  assert.equal(line(roles[0]!), 'breakers      schema registry half open (delivery at delivery:9464)');
  assert.equal(
    line(...roles),
    'breakers      <red:fcm open (push at push:9464)>, schema registry half open (delivery at delivery:9464)',
  );
});

test('push: what is due and for how long, and that FCM lets it wait; nothing where nothing is pushed', () => {
  const styled: Paint = (style, text) => `<${style}:${text}>`;
  const figures = (...roles: Parameters<History['add']>[0]) => new History().add(roles, 0);
  const line = (...roles: Parameters<History['add']>[0]) =>
    frameOf(figures(...roles), noon, undefined, styled).find((text) => text.startsWith('push '));
  const sender = (due: number, lag: number, paused = 0) =>
    roleState('push', [`ssom_push_due ${due}`, `ssom_push_lag ${lag}`, `ssom_push_paused ${paused}`]);
  assert.equal(line(sender(0, 0)), 'push          <green:nothing due>');
  assert.equal(line(sender(1, 2)), 'push          1 push due, the oldest for 2.0 s');
  assert.equal(line(sender(1234, 90)), 'push          <yellow:1,234 pushes due, the oldest for 1 min 30 s>');
  assert.equal(line(sender(0, 0, 12)), 'push          nothing due<red:, paused for 12.0 s>');
  // Each counts what is due for all; either may be paused.
  const two = [sender(3, 7.5), sender(3, 7.4, 2)];
  assert.equal(line(...two), 'push          3 pushes due, the oldest for 7.5 s<red:, paused for 2.0 s>');
  assert.deepEqual(figures(...two).push, { due: 3, ageMs: 7500, pausedMs: 2000 });
  const off = roleState('push', ['ssom_push_skipped_total 7']);
  for (const none of [off, roleState('delivery')]) {
    assert.equal(line(none, roleState('alert-api')), 'push          -');
    assert.equal(figures(none).push, undefined);
  }
  const longest = frameOf(figures(sender(100_000, 86_399, 299)), noon, { columns: 80, rows: 50 }, plain);
  assert.match(longest.join('\n'), /\npush .*100,000 pushes due, .*, paused for 4 min 59 s\n/, 'it fits 80 columns');
});

test('top for scripts: one frame of two looks without control characters, and JSON with null for what is not known', async (t) => {
  let created = 10;
  const api = await serveRole(t, 'alert-api', () => [`ssom_alerts_created_total ${(created += 5)}`]);
  const environment = { SSOM_ROLES: api };
  const context = fakeContext({ environment });
  assert.equal(await main(['top', '--interval', '0.2'], context), 0);
  assert.match(context.out(), /^ssom-alert top .* 1 of 1 process ready\n/);
  assert.ok(!context.out().includes('\u001b'));

  const json = fakeContext({ environment, terminal: true });
  assert.equal(await main(['top', '--json', '--interval', '0.2'], json), 0);
  const figures = JSON.parse(json.out()) as {
    rates: Record<string, number | null>;
    push: object | null;
    roles: { name: string }[];
  };
  assert.ok(figures.rates['created']! > 0);
  assert.equal(figures.rates['pushed'], null);
  assert.equal(figures.push, null);
  assert.deepEqual(
    figures.roles.map(({ name }) => name),
    ['alert-api'],
  );
});

test('top that is interrupted shows what it has seen, and calls nobody away', async (t) => {
  let asked = 0;
  const once = await serveHttp(t, (request, response) => {
    asked += 1;
    // One look asks for /readyz and /metrics.
    if (asked <= 2)
      response.end(request.url === '/readyz' ? JSON.stringify({ role: 'fanout', status: 'ready', checks: {} }) : '');
  });
  const silent = await serveHttp(t, () => (asked += 1));
  for (const [address, seen] of [
    [once, true],
    [silent, false],
  ] as const) {
    for (const more of [[], ['--json']]) {
      asked = 0;
      const context = fakeContext({ environment: { SSOM_ROLES: address } });
      const ended = main(['top', '--interval', '0.2', ...more], context);
      await untilTrue(() => asked > (seen ? 2 : 0), { what: 'a look that is not answered' });
      context.interrupt();
      assert.equal(await ended, 130);
      assert.equal(context.err(), '');
      assert.doesNotMatch(context.out(), /aborted/);
      if (seen) assert.match(context.out(), more.length > 0 ? /"ready": true/ : /1 of 1 process ready/);
      else assert.equal(context.out(), '');
    }
  }
});

test('top says which roles are away, and why', async (t) => {
  const silent = await serveHttp(t, () => undefined);
  const other = await serveHttp(t, (_request, response) => response.end('<html>'));
  const health = await serveHttp(t, (_request, response) => response.end('{"status": "up"}'));
  const stopped = await closedAddress();
  const context = fakeContext({ environment: { SSOM_ROLES: `${silent}, ${other},${health},${stopped}` } });
  assert.equal(await main(['top', '--once', '--interval', '0.2'], context), 1);
  assert.match(context.out(), /0 of 4 processes ready/);
  assert.match(context.out(), new RegExp(`${silent} +away: no answer in 2000 ms`));
  for (const stranger of [other, health])
    assert.match(context.out(), new RegExp(`${stranger} +away: what answers there is no role of ours`));
  assert.match(context.out(), new RegExp(`${stopped} +away: nothing listens there`));
  assert.match(context.err(), /no role answers; .*--roles/);

  for (const wrong of ['nonsense', 'a:b', 'http://a:1', 'a:1/x']) {
    const refused = fakeContext({});
    assert.equal(await main(['top', '--roles', wrong], refused), 2);
    assert.match(refused.err(), /is no address of a role; it must be host:port/);
  }
  for (const none of ['', ' ', ',', ' , ']) {
    const refused = fakeContext({});
    assert.equal(await main(['top', '--roles', none], refused), 2);
    assert.ok(refused.err().startsWith(`error: --roles '${none}' names no role; it must be host:port`), refused.err());
  }
  const blank = fakeContext({ environment: { SSOM_ROLES: ' ' } });
  assert.equal(await main(['top', '--once'], blank), 2);
  assert.match(blank.err(), /^error: SSOM_ROLES ' ' names no role/);
});

test('top on a terminal draws again when its size changes, and leaves it as it was at Ctrl-C', async (t) => {
  const api = await serveRole(t, 'standalone');
  const context = fakeContext({ terminal: true, environment: { SSOM_ROLES: api, NO_COLOR: '1' } });
  t.after(() => context.interrupt());
  const terminal = Object.assign(context.stdout, { columns: 100, rows: 40 });
  const ended = main(['top', '--interval', '3600'], context);
  await untilTrue(() => context.out().includes('standalone'), { what: 'the first frame' });
  const before = context.out().length;
  Object.assign(terminal, { columns: 20, rows: 5 });
  terminal.emit('resize');
  await untilTrue(() => context.out().length > before, { what: 'another frame' });
  assert.equal(context.out().slice(before).split('\r\n').length, 5);
  context.interrupt();
  assert.equal(await ended, 0);
  assert.ok(context.out().startsWith('\u001b[?1049h\u001b[?25l'));
  assert.ok(context.out().endsWith('\u001b[?25h\u001b[?1049l'));
  const length = context.out().length;
  terminal.emit('resize');
  await sleep(20);
  assert.equal(context.out().length, length, 'nobody draws any more');
});

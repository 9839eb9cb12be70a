import { CROWD, DEPARTMENTS, PROBES, READERS } from './people.js';
import type { Random } from './random.js';

/** What a well-formed request may name. */
export interface Known {
  /** Alerts that were created; at least one. */
  readonly alertIds: readonly number[];
}

const KINDS = ['OPENSEARCH', 'GRAFANA', 'ISSUE', 'JENKINS', 'ARGOCD', 'DEPLOYMENT', 'OTHER'];
const LEVELS = ['INFO', 'WARNING', 'ERROR', 'CRITICAL'];
const TITLES = [
  'Hello',
  '이체 지연 🚨',
  '#1842 FAILED',
  'x'.repeat(200),
  '🚨'.repeat(200),
  // Shortened, and set right.
  'x'.repeat(4096),
  '👨‍👩‍👧‍👦'.repeat(500),
  `e${'\u0301'.repeat(4000)}`,
  'a\nb\tc',
  '\u0001\u007f\uffff',
  'nul\0nul',
];
const MESSAGES = [
  '',
  'one line',
  'many\nlines\r\n\0',
  '이체 지연 '.repeat(100),
  'm'.repeat(16_384),
  '🚨'.repeat(4000),
  '이'.repeat(40_000),
  'm'.repeat(262_144),
];

const kind = (random: Random) => `ALERT_KIND_${random.pick(KINDS)}`;
const level = (random: Random) => `ALERT_LEVEL_${random.pick(LEVELS)}`;

/** Request ids so far: drawn by chance alone they repeat, since the generator has 2^32 states. */
let requests = 0;

/** An alert that must be taken; most name their recipients, the others go by whatever rules there are. */
export function validAlert(random: Random): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000);
  return {
    kind: kind(random),
    level: level(random),
    appName: random.pick(['ssok-bank-api', 'ssok-transfer', '앱', 'A'.repeat(128), 'A'.repeat(4096), 'nul\0nul']),
    title: random.pick(TITLES),
    // A long message now and then: each takes room in every table and cache on its way.
    message: random.chance(0.1) ? random.pick(MESSAGES) : random.pick(MESSAGES.slice(0, 3)),
    ...(random.chance(0.3) ? { occurredAt: occurredAt(random, now) } : {}),
    ...(random.chance(0.2) ? { sourceId: 's'.repeat(random.pick([1, 1024, 16_384])) } : {}),
    ...(random.chance(0.3) ? { labels: labels(random) } : {}),
    ...(random.chance(0.3)
      ? { requestId: `fuzz-${(requests += 1)}-${random.int(0, 2 ** 32 - 1)}`.padEnd(random.pick([0, 512]), '-') }
      : {}),
    ...(random.chance(0.97) ? { recipients: { userIds: validRecipients(random) } } : {}),
  };
}

/** Any time is taken: what cannot be right is replaced by now. */
function occurredAt(random: Random, now: number) {
  const seconds = random.pick([
    now - random.int(0, 29 * 86_400),
    now + random.int(0, 86_000),
    random.int(0, now),
    random.pick([-1, now + 90_000, -(2 ** 53), 2 ** 53]),
  ]);
  return { seconds, nanos: random.chance(0.95) ? random.int(0, 999_999_999) : random.pick([-1, 2 ** 31 - 1]) };
}

function labels(random: Random): Record<string, string> {
  return {
    team: 'core',
    '🚨': 'v'.repeat(random.pick([256, 1024, 1025, 16_384])),
    ['k'.repeat(317)]: '\0',
    constructor: 'toString',
    ...(random.chance(0.1) ? Object.fromEntries(Array.from({ length: 1000 }, (_, key) => [`k${key}`, 'v'])) : {}),
  };
}

/** At least one who is known and active. */
function validRecipients(random: Random): string[] {
  const all = [...PROBES, ...READERS];
  const nobody = random.chance(0.1) ? ['Nobody'] : [];
  return [...new Set([random.pick(all), random.pick(all), ...nobody])];
}

/** Few, so that they move from user to user. */
const deviceToken = (random: Random) => `${'t'.repeat(random.pick([20, 140, 4000]))}-${random.int(1, 20)}`;

const user = (random: Random) => {
  const userId = random.pick(CROWD);
  return {
    userId,
    displayName: random.pick(['', 'Somebody', '김철수', 'd'.repeat(200)]),
    department: random.pick(DEPARTMENTS),
    githubLogin: random.chance(0.5) ? '' : `login-${random.int(0, 2 ** 32 - 1)}`,
    active: random.chance(0.8),
  };
};

function rule(random: Random) {
  const department = random.pick(DEPARTMENTS);
  const match = random.pick(['APP_CONTAINS', 'APP_NOT_CONTAINS']);
  return { department, match: `ROUTING_MATCH_${match}`, appPattern: random.pick(['ssok', 'bank', '앱', 'Z']) };
}

/** By request: one that must be answered with OK when a service with all scopes sends it. */
export const VALID: Record<string, (random: Random, known: Known) => Record<string, unknown>> = {
  CreateAlertRequest: validAlert,
  BatchCreateAlertsRequest: (random) => ({
    requests: Array.from({ length: random.pick([1, 2, 5, 20]) }, () => validAlert(random)),
  }),
  GetAlertRequest: (random, { alertIds }) => ({ alertId: random.pick(alertIds) }),
  ListAlertsRequest: (random) => ({
    pageSize: random.pick([0, 1, 20]),
    kinds: random.chance(0.3) ? Array.from({ length: random.pick([1, 100]) }, () => kind(random)) : [],
    ...(random.chance(0.3) ? { minimumLevel: level(random) } : {}),
    appName: random.pick(['', 'ssok-bank-api']),
  }),
  ListInboxRequest: (random) => ({
    userId: random.pick([...PROBES, ...READERS]),
    pageSize: random.pick([0, 1, 20]),
    unreadOnly: random.chance(0.5),
    kinds: random.chance(0.3) ? [kind(random)] : [],
  }),
  MarkReadRequest: inboxChange,
  MarkUnreadRequest: inboxChange,
  DeleteFromInboxRequest: inboxChange,
  MarkAllReadRequest: (random) => ({ userId: random.pick(READERS) }),
  GetUnreadCountRequest: (random) => ({ userId: random.pick([...PROBES, ...READERS]) }),
  RegisterDeviceRequest: (random) => ({
    userId: random.pick(READERS),
    platform: `DEVICE_PLATFORM_${random.pick(['ANDROID', 'IOS', 'WEB'])}`,
    token: deviceToken(random),
    appVersion: random.pick(['', '1.2.3', '앱 2']),
    locale: random.pick(['', 'ko-KR']),
  }),
  UnregisterDeviceRequest: (random) => ({ userId: random.pick(READERS), token: deviceToken(random) }),
  ListDevicesRequest: (random) => ({ userId: random.pick(READERS) }),
  UpsertUsersRequest: (random) => ({
    users: [
      ...new Map(
        Array.from({ length: random.pick([1, 1, 5, 50]) }, () => user(random)).map((u) => [u.userId, u]),
      ).values(),
    ],
  }),
  ListUsersRequest: (random) => ({ pageSize: random.pick([0, 1, 20]), department: random.pick(['', ...DEPARTMENTS]) }),
  SetRoutingRulesRequest: (random) => ({ rules: Array.from({ length: random.int(0, 3) }, () => rule(random)) }),
  GetRoutingRulesRequest: () => ({}),
  StreamAlertsRequest: (random) => ({
    userId: random.pick(READERS),
    start: 'STREAM_START_NOW',
    ...(random.chance(0.3)
      ? { checkpointInterval: { seconds: random.int(1, 299), nanos: random.int(0, 999_999_999) } }
      : {}),
    ...(random.chance(0.3)
      ? { filter: { kinds: [kind(random)], minimumLevel: level(random), unreadOnly: random.chance(0.5) } }
      : {}),
  }),
};

function inboxChange(random: Random, { alertIds }: Known) {
  return {
    userId: random.pick(READERS),
    alertIds: Array.from({ length: random.pick([1, 1, 3, 50]) }, () => random.pick(alertIds)),
  };
}

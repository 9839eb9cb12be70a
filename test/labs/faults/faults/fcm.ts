import { setTimeout as sleep } from 'node:timers/promises';
import type { ErrorName, Rule } from '../../../fakes/fcm/control-types.js';
import { type Fault, HELD_UP_MS, NETWORK_MS } from './fault.js';
import { networkFaults } from './network.js';

interface Hopeless {
  readonly name: string;
  readonly rule: Rule;
  readonly deadLettersMax: number;
}

/**
 * What FCM says of one phone. Google asks for a wait with a 429. Dead letters: of ten refusals in a row, and of what is
 * on its way then.
 */
const HOPELESS: readonly Hopeless[] = [
  { name: 'over its quota', rule: { error: 'QUOTA_EXCEEDED', retryAfter: 10 }, deadLettersMax: 0 },
  { name: 'token refused', rule: { error: 'INVALID_ARGUMENT' }, deadLettersMax: 0 },
  { name: 'messages refused', rule: { error: 'INVALID_ARGUMENT', validateOnly: false }, deadLettersMax: 20 },
  { name: 'errors', rule: { error: 'INTERNAL' }, deadLettersMax: 20 },
];
const HOPELESS_MS = 30_000;
/**
 * After an outage of FCM what has waited is pushed within this: a phone that was refused waits for up to 16 s, the role
 * for a minute.
 */
const PUSH_PATIENCE_MS = 90_000;

function hopelessPhone({ name, rule, deadLettersMax }: Hopeless): Fault {
  return {
    name: `a hopeless phone: ${name}`,
    // Where its dead letters lie must not go meanwhile.
    disturbs: ['push', 'fcm', 'kafka'],
    async run({ world, traffic: { phones, probe }, findings, random, alone }) {
      const userId = random.pick(phones.busy);
      phones.hopeless.push({ userId, deadLettersMax });
      const from = Date.now();
      const id = await world.fcm.rule({ token: phones.token(userId), ...rule });
      await sleep(HOPELESS_MS);
      const until = Date.now() - HELD_UP_MS;
      const [slowest] = (await phones.taken(from, until)).sort((a, b) => b.ms - a.ms);
      await world.fcm.removeRule(id);
      // What alerts took to the streams meanwhile is the machine's.
      const allowed = probe.longest(from, until) + HELD_UP_MS;
      if (alone && slowest !== undefined && slowest.ms > allowed) {
        const { alertId, ms } = slowest;
        findings.add('held up', `the CRITICAL push of alert ${alertId} to ${slowest.userId}'s phone took ${ms} ms`);
      }
      return Date.now();
    },
  };
}

/** What had to wait for FCM is pushed soon after it is back. */
function pushedAfterwards(fault: Fault): Fault {
  return {
    ...fault,
    async run(stage) {
      const { traffic, findings, alone } = stage;
      const from = Date.now();
      const overAt = await fault.run(stage);
      const isOver = async () => (await traffic.phones.taken(from, overAt)).every(({ ms }) => Number.isFinite(ms));
      while (!(await isOver()) && Date.now() < overAt + PUSH_PATIENCE_MS) await sleep(1000);
      if (alone && !(await isOver()))
        findings.add(
          'not recovered',
          `${fault.name}: what had waited is not pushed after ${PUSH_PATIENCE_MS / 1000} s`,
        );
      return overAt;
    },
  };
}

/** FCM answers, and takes nothing from anybody. */
function fcmRefuses(name: string, error: ErrorName, retryAfter?: number): Fault {
  return {
    name,
    disturbs: ['push', 'fcm'],
    async run({ world }) {
      const rule = await world.fcm.rule({ error, ...(retryAfter === undefined ? {} : { retryAfter }) });
      await sleep(NETWORK_MS);
      await world.fcm.removeRule(rule);
      return Date.now();
    },
  };
}

/** FCM is in trouble with one phone, or with all. */
export const FCM: readonly Fault[] = [
  ...HOPELESS.map(hopelessPhone),
  ...[
    fcmRefuses('FCM over its quota', 'QUOTA_EXCEEDED', 2),
    fcmRefuses('FCM unavailable', 'UNAVAILABLE'),
    ...networkFaults('fcm'),
  ].map(pushedAfterwards),
];

import { type Buckets, bucketsOf, quantile } from '../io/metrics-page.js';
import type { RoleState } from '../io/roles.js';
import { groupsOf, type GroupState, type OpenBreaker, openBreakers } from './system.js';

const COUNTERS = {
  created: ['ssom_alerts_created_total', {}],
  delivered: ['ssom_deliveries_total', {}],
  streamed: ['ssom_stream_changes_total', {}],
  pushed: ['ssom_push_messages_total', { what: 'alert', result: 'sent' }],
  deadLetters: ['ssom_dead_letters_total', {}],
} as const;
const HISTOGRAMS = {
  inbox: 'ssom_alert_create_to_inbox_seconds',
  stream: 'ssom_alert_create_to_stream_seconds',
  push: 'ssom_alert_create_to_push_seconds',
} as const;

type Counter = keyof typeof COUNTERS;
type Hop = keyof typeof HISTOGRAMS;
export const HOPS = Object.keys(HISTOGRAMS) as Hop[];
export const RATES = ['created', 'delivered', 'streamed', 'pushed'] as const;

const RATE_WINDOW_MS = 10_000;
const LATENCY_WINDOW_MS = 60_000;

/** What one process had counted by then; a counter or a histogram that it does not have is left out. */
interface Counts {
  readonly counters: ReadonlyMap<Counter, number>;
  readonly histograms: ReadonlyMap<Hop, Buckets>;
}

/** What one look at all roles gave, by address. Roles that were away are left out. */
interface Reading {
  /** Milliseconds of a clock that never goes back. */
  readonly at: number;
  readonly counts: ReadonlyMap<string, Counts>;
}

/** Undefined: not known (yet). */
export interface Figures {
  readonly roles: readonly RoleState[];
  /** A second, over the last 10 s. */
  readonly rates: Readonly<Record<(typeof RATES)[number], number | undefined>>;
  /** Seconds, over the last minute. */
  readonly latency: Readonly<Record<Hop, { readonly p50: number; readonly p99: number } | undefined>>;
  readonly groups: readonly GroupState[];
  readonly outbox: { readonly depth: number; readonly ageMs: number } | undefined;
  readonly streams: { readonly open: number; readonly slow: number } | undefined;
  /** Pushes that are due, and how long FCM lets us wait; undefined also where push is off. */
  readonly push: { readonly due: number; readonly ageMs: number; readonly pausedMs: number } | undefined;
  readonly breakers: readonly OpenBreaker[];
  /** Since the roles were started, and of them in the last minute. */
  readonly deadLetters: { readonly total: number; readonly recent: number } | undefined;
}

/** Looks at the roles again and again, and what became of the numbers meanwhile. */
export class History {
  #readings: Reading[] = [];

  /** Takes a look at the roles, and says what is to be seen. @param at milliseconds of a clock that never goes back */
  add(roles: readonly RoleState[], at: number): Figures {
    const reading: Reading = {
      at,
      counts: new Map(
        roles.filter(({ away }) => away === undefined).map((role) => [role.address, countsOf(role)] as const),
      ),
    };
    this.#readings = [...this.#readings.filter((old) => old.at >= at - LATENCY_WINDOW_MS), reading];
    const sum = (metric: string) => total(roles.map(({ metrics }) => metrics.sum(metric)));
    const most = (metric: string) =>
      roles.reduce<number | undefined>((max, { metrics }) => greater(max, metrics.max(metric)), undefined);
    const depth = most('ssom_outbox_depth');
    const open = sum('ssom_stream_open');
    const due = most('ssom_push_due');
    const letters = sum('ssom_dead_letters_total');
    return {
      roles,
      rates: {
        created: this.#rate('created'),
        delivered: this.#rate('delivered'),
        streamed: this.#rate('streamed'),
        pushed: this.#rate('pushed'),
      },
      latency: { inbox: this.#latency('inbox'), stream: this.#latency('stream'), push: this.#latency('push') },
      groups: groupsOf(roles),
      // Each alert-api tells of the same table.
      outbox: depth === undefined ? undefined : { depth, ageMs: (most('ssom_outbox_age') ?? 0) * 1000 },
      streams: open === undefined ? undefined : { open, slow: sum('ssom_stream_slow') ?? 0 },
      // Each of them counts what is due for all; one that is paused may be the only one.
      push:
        due === undefined
          ? undefined
          : { due, ageMs: (most('ssom_push_lag') ?? 0) * 1000, pausedMs: (most('ssom_push_paused') ?? 0) * 1000 },
      breakers: openBreakers(roles),
      deadLetters:
        letters === undefined
          ? undefined
          : { total: letters, recent: this.#growth('deadLetters', this.#readings[0]!) ?? 0 },
    };
  }

  #rate(counter: Counter): number | undefined {
    const last = this.#readings.at(-1)!;
    const first = this.#readings.find(({ at }) => at >= last.at - RATE_WINDOW_MS)!;
    const growth = this.#growth(counter, first);
    return growth === undefined || first === last ? undefined : growth / ((last.at - first.at) / 1000);
  }

  /** By how much a counter has grown since; of processes that were seen then. */
  #growth(counter: Counter, first: Reading): number | undefined {
    return total(
      [...this.#readings.at(-1)!.counts].map(([address, { counters }]) => {
        const now = counters.get(counter);
        const before = first.counts.get(address);
        return now === undefined || before === undefined ? undefined : grown(before.counters.get(counter) ?? 0, now);
      }),
    );
  }

  #latency(hop: Hop): { p50: number; p99: number } | undefined {
    const first = this.#readings[0]!;
    const buckets = new Map<number, number>();
    for (const [address, { histograms }] of this.#readings.at(-1)!.counts) {
      const before = first.counts.get(address);
      if (before === undefined) continue;
      const old = before.histograms.get(hop) ?? new Map<number, number>();
      const now = histograms.get(hop) ?? new Map<number, number>();
      // One that has begun anew has less in its last bucket, which counts all.
      const restarted = (now.get(Infinity) ?? 0) < (old.get(Infinity) ?? 0);
      for (const [bound, value] of now) {
        const added = restarted ? value : value - (old.get(bound) ?? 0);
        buckets.set(bound, (buckets.get(bound) ?? 0) + added);
      }
    }
    const p50 = quantile(buckets, 0.5);
    const p99 = quantile(buckets, 0.99);
    return p50 === undefined || p99 === undefined ? undefined : { p50, p99 };
  }
}

function countsOf({ metrics }: RoleState): Counts {
  const counters = new Map<Counter, number>();
  for (const name of Object.keys(COUNTERS) as Counter[]) {
    const [metric, labels] = COUNTERS[name];
    // Its first line may have other labels: it is there, at 0.
    if (metrics.has(metric)) counters.set(name, metrics.sum(metric, labels) ?? 0);
  }
  return { counters, histograms: new Map(HOPS.map((hop) => [hop, bucketsOf(metrics, HISTOGRAMS[hop])])) };
}

/** A counter that is smaller than before began anew. */
function grown(before: number, now: number): number {
  return now >= before ? now - before : now;
}

function total(values: readonly (number | undefined)[]): number | undefined {
  return values.reduce((sum, value) => (value === undefined ? sum : (sum ?? 0) + value), undefined);
}

function greater(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || (b !== undefined && b > a) ? b : a;
}

import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../../support/random.js';
import { Archive } from './archive.js';
import { Arrivals } from './arrivals.js';
import { FAULTS } from './faults.js';
import type { Fault, Stage } from './faults/fault.js';
import { type Finding, Findings } from './findings.js';
import { Ledger } from './ledger.js';
import { Traffic } from './traffic.js';
import { verify } from './verify.js';
import { World, type WorldOptions } from './world.js';

export interface FaultRunOptions extends Omit<WorldOptions, 'log'> {
  readonly seed: number;
  readonly alertsPerSecond: number;
  /** How long things may take to get well after a fault. */
  readonly patienceMs?: number;
  /** An older release takes part, which writes nothing into the account of who did what. */
  readonly accountIsPartial?: boolean;
  readonly log: (line: string) => void;
}

/** One fault, as it went. Times in seconds. */
export interface FaultRecord {
  readonly name: string;
  /** `listed`, one after the other; `random`; or `beside`, begun while another one was going on. */
  readonly part: 'listed' | 'random' | 'beside';
  readonly lastedS: number;
  /** From the end of the cause to the first probe since when alerts arrive within 1 s. Null: it took too long. */
  readonly recoveryS: number | null;
  /** From when everything runs again until what was acknowledged before had arrived. Null: it took too long. */
  readonly caughtUpS: number | null;
  /** Calls that had to be repeated meanwhile, by code. */
  readonly retries: Readonly<Record<string, number>>;
}

export interface FaultReport {
  readonly seed: number;
  readonly seconds: number;
  readonly alerts: number;
  readonly userAlerts: number;
  readonly replays: number;
  readonly changes: number;
  readonly streamLosses: number;
  readonly poison: number;
  readonly faults: readonly FaultRecord[];
  /** Zero each, or the run has failed. */
  readonly found: Readonly<Record<string, number>>;
  readonly details: readonly Finding[];
}

interface DoOptions {
  readonly part: FaultRecord['part'];
  readonly random: Random;
  readonly alone: boolean;
}

/** After a fault: how long it may take until things are well again. */
const PATIENCE_MS = 180_000;
const SETTLE_MS = 2000;
/** One in so many random faults has another one beside it. */
const BESIDE = 0.25;

const BASE_ENVIRONMENT = {
  // A killed member of a group is noticed after 6 s instead of 30 s.
  KAFKA_CONSUMER_SESSION_TIMEOUT_MS: '6000',
  KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS: '1000',
  // What was lost with Kafka is looked for every 5 s instead of every minute.
  RECONCILE_INTERVAL_MS: '5000',
  RECONCILE_GRACE_MS: '10000',
};

/** The service under traffic, to which faults are done. */
export class FaultRun {
  readonly findings: Findings;
  readonly ledger = new Ledger();
  traffic!: Traffic;
  arrivals!: Arrivals;
  readonly #archive = new Archive();
  readonly #faults: FaultRecord[] = [];
  readonly #random: Random;
  readonly #patienceMs: number;
  readonly #started = performance.now();

  private constructor(
    private readonly options: FaultRunOptions,
    readonly world: World,
  ) {
    const { log } = options;
    this.findings = new Findings(({ kind, detail, fault }) => log(`  FOUND ${kind}: ${detail} (${fault})`));
    this.#random = new Random(options.seed);
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS;
  }

  static async start(options: FaultRunOptions): Promise<FaultRun> {
    const environment = { ...BASE_ENVIRONMENT, ...options.environment };
    const world = await World.start({ ...options, environment });
    const run = new FaultRun(options, world);
    try {
      await run.#begin();
      return run;
    } catch (error) {
      await run.close();
      throw error;
    }
  }

  async #begin(): Promise<void> {
    const { world, ledger, findings } = this;
    const { alertsPerSecond } = this.options;
    this.traffic = await Traffic.start({ world, ledger, findings, random: this.#random.fork(), alertsPerSecond });
    this.arrivals = new Arrivals(
      ledger,
      new Map([...this.traffic.streams].reverse().map((each) => [each.userId, each])),
    );
    await this.#well(Date.now(), 'the start');
  }

  /** Waits until alerts arrive well. @returns when that began */
  async #well(since: number, what: string): Promise<number | null> {
    const until = Date.now() + this.#patienceMs;
    while (Date.now() < until) {
      const from = this.traffic.probe.wellFrom(since);
      if (from !== undefined) return from;
      await sleep(100);
    }
    this.findings.add('not recovered', `alerts do not arrive within 1 s, ${this.#patienceMs / 1000} s after ${what}`);
    return null;
  }

  async #caughtUp(before: number, what: string): Promise<number | null> {
    const until = Date.now() + this.#patienceMs;
    while (Date.now() < until) {
      if (this.arrivals.missing(before) === 0) return Date.now();
      await sleep(200);
    }
    const left = this.arrivals.missing(before);
    this.findings.add('not recovered', `${left} alerts have not arrived ${this.#patienceMs / 1000} s after ${what}`);
    return null;
  }

  /** Does one fault, and waits until it is got over. */
  async do(
    fault: Fault,
    { part = 'listed', random = this.#random.fork(), alone = true }: Partial<DoOptions> = {},
  ): Promise<void> {
    const { world, traffic, ledger, findings } = this;
    const retries = new Map(traffic.callers.retries);
    findings.fault = fault.name;
    const startedAt = Date.now();
    const stage: Stage = { world, traffic, ledger, findings, archive: this.#archive, random, alone };
    const overAt = await fault.run(stage);
    const endedAt = Date.now();
    const [wellAt, caughtUpAt] = await Promise.all([
      this.#well(overAt, fault.name),
      this.#caughtUp(endedAt, fault.name),
    ]);
    const record: FaultRecord = {
      name: fault.name,
      part,
      lastedS: (endedAt - startedAt) / 1000,
      recoveryS: wellAt === null ? null : Math.max(0, wellAt - overAt) / 1000,
      caughtUpS: caughtUpAt === null ? null : (caughtUpAt - endedAt) / 1000,
      retries: Object.fromEntries(
        [...traffic.callers.retries]
          .map(([code, count]) => [code, count - (retries.get(code) ?? 0)] as const)
          .filter(([, count]) => count > 0),
      ),
    };
    this.#faults.push(record);
    this.options.log(describe(record));
    await sleep(SETTLE_MS);
  }

  /** Nobody may have ended by itself. One that did is started again, so that the run goes on. */
  async #checkProcesses(): Promise<void> {
    for (const slot of this.world.slots) {
      if (slot.process?.running === true) continue;
      this.findings.add(
        'unclean end',
        `${slot.name} has ended by itself: ${slot.process?.noise.slice(-3).join(' ') ?? ''}`,
      );
      await slot.start();
    }
  }

  /** Each fault once, in order. */
  async listed(faults: readonly Fault[] = FAULTS): Promise<void> {
    for (const fault of faults) {
      await this.do(fault);
      await this.#checkProcesses();
    }
  }

  /** Faults as they come, sometimes two at once, for so long. */
  async random(minutes: number, faults: readonly Fault[] = FAULTS): Promise<void> {
    const until = performance.now() + minutes * 60_000;
    while (performance.now() < until) {
      const random = this.#random;
      const fault = random.pick(faults);
      const others = faults.filter(({ disturbs }) => !disturbs.some((each) => fault.disturbs.includes(each)));
      const beside = random.chance(BESIDE) && others.length > 0 ? random.pick(others) : undefined;
      const alone = beside === undefined;
      const afterMs = random.int(0, 5000);
      const [first, second] = [random.fork(), random.fork()];
      await sleep(random.int(0, 3000));
      await Promise.all([
        this.do(fault, { part: 'random', random: first, alone }),
        beside === undefined
          ? undefined
          : sleep(afterMs).then(() => this.do(beside, { part: 'beside', random: second, alone })),
      ]);
      await this.#checkProcesses();
    }
  }

  /** Stops the traffic, and holds everything against the ledger. */
  async finish(patienceMs = 60_000): Promise<FaultReport> {
    const { world, ledger, findings, traffic, arrivals } = this;
    const stopped = await Promise.race([traffic.stop().then(() => true), sleep(patienceMs, false)]);
    if (!stopped) {
      findings.add('not recovered', `calls are still unanswered ${patienceMs / 1000} s after the last one was sent`);
      traffic.callers.close();
      await traffic.stop();
    }
    const { userAlerts } = await verify(
      {
        ...{ world, ledger, findings, traffic, arrivals, archive: this.#archive },
        accountIsPartial: this.options.accountIsPartial ?? false,
      },
      patienceMs,
    );
    return {
      seed: this.options.seed,
      seconds: Math.round((performance.now() - this.#started) / 1000),
      alerts: ledger.list.length,
      userAlerts,
      replays: traffic.replays,
      changes: traffic.changes,
      streamLosses: traffic.streams.reduce((sum, { losses }) => sum + losses, 0),
      poison: traffic.poison.written.length,
      faults: this.#faults,
      found: Object.fromEntries(findings.counts),
      details: findings.details,
    };
  }

  async close(): Promise<void> {
    await this.traffic?.close();
    for (const ended of await this.world.stop()) this.findings.add('unclean end', ended);
  }
}

const seconds = (value: number | null) => (value === null ? 'too long' : `${value.toFixed(1)} s`);

function describe({ name, part, lastedS, recoveryS, caughtUpS, retries }: FaultRecord): string {
  const repeated = Object.entries(retries).map(([code, count]) => `${code} ${count}`);
  return [
    `${part === 'beside' ? '+ ' : ''}${name}`.padEnd(42),
    `lasted ${seconds(lastedS)}`.padEnd(16),
    `recovered ${seconds(recoveryS)}`.padEnd(20),
    `caught up ${seconds(caughtUpS)}`.padEnd(20),
    repeated.length === 0 ? '' : `repeated: ${repeated.join(', ')}`,
  ].join(' ');
}

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ROLE_NAMES } from '../../../services/domain/role-names.js';
import { userName } from '../../../services/store/database-users.js';
import type { Release } from '../../support/last-release.js';
import { type FaultReport, FaultRun } from '../faults/fault-run.js';
import type { Stage } from '../faults/faults/fault.js';
import { rollRole } from '../faults/faults/roles.js';
import type { Slot, World } from '../faults/world.js';
import { tryClient } from './clients.js';
import type { Order, Step, Version } from './orders.js';

export interface RollingOptions {
  readonly release: Release;
  readonly seed: number;
  readonly brokers: 1 | 3;
  readonly alertsPerSecond: number;
  readonly log: (line: string) => void;
}

const PREFIX = 'ssom_';
const PASSWORD = 'of-the-rolling-run';

/**
 * The last release under the traffic and the ledger of the fault run. This one's tables and schemas come first, as at
 * a deploy; then roles go from one release to the other and back.
 */
export class RollingRun {
  private constructor(
    private readonly options: RollingOptions,
    readonly faults: FaultRun,
  ) {}

  /** Every role, twice, runs the last release on its own tables. */
  static async start(options: RollingOptions): Promise<RollingRun> {
    const { release } = options;
    const faults = await FaultRun.start({
      ...options,
      instances: 2,
      entry: () => release.main,
      environment: { SET_UP_AT_START: 'false' },
      makeTables: (world) => migrateWith(release.cli, world),
      accountIsPartial: !release.keepsAccount,
    });
    return new RollingRun(options, faults);
  }

  /**
   * This release's tables, schemas and grants, under the last one's roles. Whatever starts from now on is a user of
   * PostgreSQL that may do in it what this release's role needs, and nothing else.
   */
  async migrate(): Promise<void> {
    await this.faults.do({
      name: 'migrate: tables, schemas, grants',
      disturbs: ['postgres'],
      run: async ({ world }) => {
        this.options.log((await world.command('migrate')).trim());
        await world.command('database', 'users');
        for (const role of ROLE_NAMES)
          await world.database.query(`ALTER ROLE ${userName(PREFIX, role)} PASSWORD '${PASSWORD}'`);
        await world.command('database', 'grants');
        return Date.now();
      },
    });
  }

  /** Does the steps of an order; what does not run what it begins with goes there before. */
  async order({ from, steps }: Order): Promise<void> {
    await this.bring(from);
    for (const step of steps) await this.step(step);
  }

  /** Every instance that does not run this release goes to it. */
  async bring(to: Version): Promise<void> {
    for (const role of ROLE_NAMES) {
      const others = this.faults.world.of(role).some(({ entry }) => entry !== this.#entry(to));
      if (others) await this.step({ role, to });
    }
  }

  step(step: Step): Promise<void> {
    const { role, to, half = false } = step;
    const name = `${role} ${half ? 'in part ' : ''}to ${to === 'last' ? 'the last' : 'this'} release`;
    return this.inOneGo(name, [step]);
  }

  /** Several steps, one after the other: only after the last one is it waited until all has arrived. */
  async inOneGo(name: string, steps: readonly Step[]): Promise<void> {
    await this.faults.do({
      name,
      disturbs: steps.map(({ role }) => role),
      run: async (stage) => {
        let lastAt = Date.now();
        await stage.traffic.callers.repeatedWhile(async () => {
          for (const step of steps) lastAt = await this.#roll(stage, step);
        });
        return lastAt;
      },
    });
  }

  async #roll(stage: Stage, { role, to, half = false }: Step): Promise<number> {
    const slots = stage.world.of(role).filter(({ entry }) => entry !== this.#entry(to));
    const lastAt = await rollRole(stage, role, (slot) => this.#place(slot, to), half ? slots.slice(0, 1) : slots);
    await checkAll(stage);
    return lastAt;
  }

  #entry(version: Version): string | undefined {
    return version === 'last' ? this.options.release.main : undefined;
  }

  #place(slot: Slot, version: Version): void {
    slot.entry = this.#entry(version);
    const url = new URL(slot.environment['DATABASE_URL']!);
    url.username = userName(PREFIX, slot.role);
    url.password = PASSWORD;
    slot.environment = { ...slot.environment, DATABASE_URL: url.href };
  }

  /** A client calls the service, whatever each role runs now. @param module of its package */
  async client(module: string, name: string): Promise<void> {
    const { world } = this.faults;
    const [api, gateway] = [world.networks.api, world.networks.gateway].map(({ proxies }) => proxies[0]!.address);
    await tryClient(module, { address: api!, streamAddress: gateway!, userId: name });
  }

  finish(): Promise<FaultReport> {
    return this.faults.finish();
  }

  close(): Promise<void> {
    return this.faults.close();
  }
}

async function migrateWith(cli: string, world: World): Promise<void> {
  const { postgres, registry } = world;
  const env = {
    PATH: process.env['PATH'],
    PROFILE: 'dev',
    DATABASE_URL: postgres.url,
    SCHEMA_REGISTRY_URL: registry.url,
  };
  await promisify(execFile)(process.execPath, [cli, 'migrate'], { env });
}

/** No role is unready or waits, whichever release it is of. */
async function checkAll({ world, findings }: Stage): Promise<void> {
  for (const { name, process } of world.slots) {
    const { status, body } = await process!.get('/readyz');
    if (status !== 200) findings.add('not recovered', `${name} is not ready: ${body}`);
    if ((await process!.metric('ssom_kafka_consumer_paused')) > 0) findings.add('not recovered', `${name} waits`);
  }
}

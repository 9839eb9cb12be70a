import { join } from 'node:path';
import { freePorts } from '#stack';
import { type AlertClient, type ClientOptions, createClient } from '../../../services/client/client.js';
import type { RoleName } from '../../../services/domain/role-names.js';
import { RoleProcess } from '../../support/role-process.js';
import type { Bench } from './bench.js';
import { type Figures, MEMORY } from './figures.js';
import { descendantsMb, residentMb } from './processes.js';

const READY_TIMEOUT_MS = 30_000;
const READY_INTERVAL_MS = 10;
const WARNINGS_SHOWN = 10;

/** What a role warned of lately, each message once, without what every start says. */
function warningsOf({ lines, noise }: RoleProcess): string[] {
  const expected = /AUTH_MODE=dev|push is off/;
  const said = lines.map(({ msg, err }) => {
    const cause = (err as { message?: string } | undefined)?.message;
    return cause === undefined ? msg : `${msg} (${cause})`;
  });
  // What is no log line is what Node itself says; a stack trace is indented.
  const all = [...said, ...noise.filter((line) => !line.startsWith(' '))].filter((message) => !expected.test(message));
  return [...new Set(all)].slice(-WARNINGS_SHOWN);
}

/** A database and topics of its own, so that what one scenario leaves does not burden the next, and roles on them. */
export class Deployment {
  readonly roles = new Map<RoleName, RoleProcess>();
  #admin: AlertClient | undefined;

  constructor(
    private readonly bench: Bench,
    readonly name: string,
    readonly environment: Record<string, string>,
    /** How alert-api is called where it does not believe names. */
    private readonly admission: Partial<Pick<ClientOptions, 'identity' | 'tls'>> = {},
  ) {}

  async start(...names: readonly RoleName[]): Promise<void> {
    const { options } = this.bench;
    // The first one migrates the database while it starts alone.
    for (const name of names) {
      const [http, grpc] = (await freePorts(2)).map((port) => `127.0.0.1:${port}`);
      const served = name === 'alert-api' || name === 'stream-gateway';
      const preload = options.preload === undefined ? [] : ['--import', options.preload];
      const profiling =
        options.profiles === undefined
          ? []
          : ['--cpu-prof', `--cpu-prof-dir=${join(options.profiles, this.name)}`, `--cpu-prof-name=${name}.cpuprofile`];
      const role = new RoleProcess(
        name,
        { ...this.environment, HTTP_LISTEN: http!, ...(served ? { GRPC_LISTEN: grpc! } : {}) },
        { nodeOptions: [...preload, ...profiling] },
      );
      this.roles.set(name, role);
      await role.ready(READY_TIMEOUT_MS, READY_INTERVAL_MS);
    }
  }

  role(name: RoleName): RoleProcess {
    return this.roles.get(name)!;
  }

  get alertApi(): string {
    return this.role('alert-api').grpc;
  }

  get streamGateway(): string {
    return this.role('stream-gateway').grpc;
  }

  /**
   * Loads the directory: the users whom the load client connects, half as many more whom nothing reaches, and a rule
   * that sends everything to the former.
   * @returns the ids of the former
   */
  async loadDirectory(): Promise<string[]> {
    this.#admin ??= createClient({ address: this.alertApi, identity: { caller: 'bench' }, ...this.admission });
    const user = (department: string) => (_: unknown, index: number) => ({
      userId: `${department.toLowerCase()}-${String(index + 1).padStart(4, '0')}`,
      displayName: `Bench ${index + 1}`,
      department,
      active: true,
    });
    const { users: count } = this.bench.options;
    const reached = Array.from({ length: count }, user('OPERATION'));
    const users = [...reached, ...Array.from({ length: Math.ceil(count / 2) }, user('SALES'))];
    for (let from = 0; from < users.length; from += 500) {
      await this.#admin.upsertUsers({ users: users.slice(from, from + 500) });
    }
    await this.#admin.setRoutingRules({ rules: [{ department: 'OPERATION', match: 'ROUTING_MATCH_ALL' }] });
    return reached.map(({ userId }) => userId);
  }

  /** @returns the id of somebody who has left, and gets nothing */
  async loadInactive(): Promise<string> {
    const userId = 'left';
    await this.#admin!.upsertUsers({ users: [{ userId, displayName: 'Left', department: 'SALES', active: false }] });
    return userId;
  }

  /** Process ids by name: the roles and what they stand on. */
  pids(): Map<string, number> {
    return new Map([...[...this.roles].map(([name, { pid }]) => [name, pid] as const), ...this.bench.stackPids()]);
  }

  /** Notes the memory of every process of the deployment. */
  noteMemory(figures: Figures, when: string): void {
    for (const [name, pid] of this.pids()) {
      // Of the processes that share memory, which are PostgreSQL's, the sum of what is resident would count it often.
      figures.cell(MEMORY, name, when, name === 'postgresql' ? descendantsMb(pid) : residentMb(pid));
    }
  }

  async stop(figures?: Figures): Promise<void> {
    this.#admin?.close();
    await Promise.all([...this.roles.values()].map((role) => role.stop()));
    for (const role of this.roles.values()) {
      for (const warning of warningsOf(role)) figures?.note(`${this.name}: ${role.role} warned: ${warning}`);
    }
  }
}

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CreateAlertRequest } from '../../../services/client/check-request.js';
import { type AlertClient, createClient } from '../../../services/client/client.js';
import type { Random } from '../../support/random.js';
import { Callers } from './callers.js';
import type { Findings } from './findings.js';
import { FoldedStream } from './folded-stream.js';
import { INTRUDER, Intruder } from './intruder.js';
import type { Ledger, LedgerAlert, Person } from './ledger.js';
import { Phones } from './phones.js';
import { PoisonWriter } from './poison-writer.js';
import { Probe, PROBES } from './probe.js';
import type { World } from './world.js';

export interface TrafficOptions {
  readonly world: World;
  readonly ledger: Ledger;
  readonly findings: Findings;
  readonly random: Random;
  readonly alertsPerSecond: number;
}

type Request = CreateAlertRequest & { readonly requestId: string; readonly appName: string };

const APPS = ['ssok-bank', 'SSOK-BANK-ledger', 'ssok-transfer', 'ssok-channel-web', 'openbanking'] as const;
const GREEDY = 'greedy-1';
/** In base64 just within the 16,384 characters of a message. */
const LARGE_BYTES = 12_000;
/** How many alerts are pushed at once, whoever holds a stream. */
const CRITICAL = 0.5;
/** Beyond these, callers wait for answers before they send more. */
const UNANSWERED_MAX = 400;
/**
 * An attempt without an answer has no effect any more then: it waits at most 3 s for a connection, and each of its
 * statements ends after 10 s.
 */
const LATE_EFFECT_MS = 30_000;

const people = (prefix: string, count: number, department: string): Person[] =>
  Array.from({ length: count }, (_, index) => ({ userId: `${prefix}-${index + 1}`, department, active: true }));

/**
 * Whoever uses the service while it is disturbed: callers, readers, people with streams, and two who must not succeed.
 */
export class Traffic {
  readonly people = [
    ...people('operation', 4, 'OPERATION'),
    ...people('external', 2, 'EXTERNAL'),
    ...people('bank', 5, 'CORE_BANK'),
    ...people('channel', 5, 'CHANNEL'),
    ...people('solo', 12, 'PAYROLL'),
    // Nobody reads or deletes for these: their inboxes stay in the order of delivery.
    ...people('quiet', 4, 'PAYROLL'),
    ...people('quiet-operation', 2, 'OPERATION'),
    ...people('mover', 4, 'CHANNEL'),
    ...people('probe', PROBES, 'PAYROLL'),
    // Only who is greedy writes to this one.
    { userId: GREEDY, department: 'PAYROLL', active: true },
  ];
  readonly streams: FoldedStream[] = [];
  readonly callers: Callers;
  readonly probe: Probe;
  readonly poison: PoisonWriter;
  readonly phones: Phones;
  /** Repetitions of acknowledged requests that gave the same alert. */
  replays = 0;
  readonly intruder: Intruder;
  /** Alerts that were created while their topic took nothing of their size. */
  readonly refusedByKafka = new Set<number>();
  /** Changes of read state and deletions. */
  changes = 0;
  #unanswered = 0;
  #large = 0;
  #stopping = false;
  readonly #clients: AlertClient[] = [];
  readonly #loops: Promise<void>[] = [];
  readonly #random: Random;

  private constructor(private readonly options: TrafficOptions) {
    const { world, findings, random } = options;
    this.#random = random;
    const service = { caller: world.unique('fault-run') };
    this.callers = new Callers(
      world.networks.api.proxies.map(({ address }) => this.#client({ address, identity: service })),
      findings,
    );
    this.probe = new Probe(this.callers, options.ledger);
    this.poison = new PoisonWriter(world.kafka.bootstrap, random.fork());
    this.phones = new Phones(world.fcm, options.ledger);
    const address = world.networks.api.proxies[0]!.address;
    const streamAddress = world.networks.gateway.proxies[0]!.address;
    this.intruder = new Intruder(this.#client({ address, streamAddress, identity: { userId: INTRUDER } }), findings);
  }

  static async start(options: TrafficOptions): Promise<Traffic> {
    const traffic = new Traffic(options);
    await traffic.#start();
    return traffic;
  }

  #client(settings: Parameters<typeof createClient>[0]): AlertClient {
    const client = createClient(settings);
    this.#clients.push(client);
    return client;
  }

  async #start(): Promise<void> {
    await this.changeDirectory(this.people);
    await this.phones.register(this.callers);
    for (const { userId } of this.people) this.#follow(userId, userId);
    // A second device of some, which comes and goes.
    const second = this.people
      .filter((_, index) => index % 4 === 0)
      .map(({ userId }) => userId)
      .filter((userId) => !userId.startsWith('probe'));
    const restless = second.map((userId) => this.#follow(userId, `${userId} (2)`));
    const loop = (work: () => Promise<void>) => this.#loops.push(work());
    loop(() => this.#create());
    for (const userId of this.readers) loop(() => this.#read(userId));
    for (const stream of restless) loop(() => this.#comeAndGo(stream));
    loop(() => this.intruder.run());
    loop(() => this.probe.run());
    loop(() => this.poison.run());
  }

  /** The people who change what is in their inboxes. */
  get readers(): string[] {
    return this.people.map(({ userId }) => userId).filter((userId) => !/^(quiet|mover|probe|greedy)/.test(userId));
  }

  get movers(): Person[] {
    return this.people.filter(({ userId }) => userId.startsWith('mover'));
  }

  #follow(userId: string, name: string): FoldedStream {
    const { world, ledger, findings } = this.options;
    const address = world.networks.api.proxies[0]!.address;
    const clients = world.networks.gateway.proxies.map((gateway) =>
      this.#client({ address, streamAddress: gateway.address, identity: { userId } }),
    );
    const stream = new FoldedStream({
      userId,
      name,
      clients,
      findings,
      mayBeInactive: userId.startsWith('mover'),
      mayExpire: () => ledger.hasLostCommits,
      ...(userId.startsWith('probe') ? { onAlert: (_, title) => this.probe.arrived(title) } : {}),
    });
    this.streams.push(stream);
    return stream;
  }

  async changeDirectory(changed: readonly Person[]): Promise<void> {
    const { ledger } = this.options;
    const users = changed.map((person) => ({ ...person }));
    const answered = ledger.directoryChanges(changed);
    const { answeredAt, attempts } = await this.callers.call('UpsertUsers', (client, timeoutMs) =>
      client.upsertUsers({ users }, { timeoutMs }),
    );
    answered(answeredAt);
    if (attempts > 1) await this.#pause(LATE_EFFECT_MS);
  }

  /** A wait that ends early when the traffic does. */
  async #pause(ms: number): Promise<void> {
    const until = Date.now() + ms;
    while (!this.#stopping && Date.now() < until) await sleep(Math.min(100, until - Date.now()));
  }

  async #create(): Promise<void> {
    const running = new Set<Promise<void>>();
    const started = performance.now();
    for (let count = 0; !this.#stopping;) {
      const due = ((performance.now() - started) / 1000) * this.options.alertsPerSecond;
      if (count < due && this.#unanswered < UNANSWERED_MAX) {
        const one: Promise<void> = this.#createOne(`request-${count}`)
          .catch(() => undefined)
          .finally(() => running.delete(one));
        running.add(one);
        count += 1;
      } else {
        // What could not be sent in time is not made up for.
        if (this.#unanswered >= UNANSWERED_MAX) count = Math.ceil(due);
        await sleep(10);
      }
    }
    await Promise.all(running);
  }

  async #createOne(requestId: string): Promise<void> {
    const { ledger, findings } = this.options;
    const random = this.#random;
    const appName = random.pick(APPS);
    const named = random.chance(0.8) ? [random.pick(this.people.filter(isNamed)).userId] : undefined;
    const isCritical = random.chance(CRITICAL);
    const request = {
      requestId,
      kind: 'ALERT_KIND_GRAFANA' as const,
      appName,
      level: isCritical ? ('ALERT_LEVEL_CRITICAL' as const) : ('ALERT_LEVEL_WARNING' as const),
      title: requestId,
      message: `이체 지연 ${requestId}`,
      ...(named === undefined ? {} : { recipients: { userIds: named } }),
    };
    this.#unanswered += 1;
    try {
      const acknowledged = await this.#send(request);
      if (!random.chance(0.05)) return;
      const { response: again } = await this.#call(request, this.callers);
      this.replays += 1;
      if (ledger.mayBeGone(acknowledged)) return;
      const { alertId } = acknowledged;
      if (again.alert!.alertId !== alertId || !again.replayed)
        findings.add('second alert', `${requestId} was ${alertId}, and then ${again.alert!.alertId}`);
    } finally {
      this.#unanswered -= 1;
    }
  }

  #call(request: Request, callers: Callers) {
    return callers.call(`CreateAlert ${request.requestId}`, (client, timeoutMs) =>
      client.createAlert(request, { attempts: 1, timeoutMs }),
    );
  }

  /** Creates an alert, and tells the ledger. */
  async #send(request: Request, callers = this.callers): Promise<LedgerAlert> {
    const { ledger } = this.options;
    const { requestId, appName, recipients, level } = request;
    const { response, sentAt, answeredAt } = await this.#call(request, callers);
    const named = new Set(recipients?.userIds);
    const acknowledged = {
      alertId: response.alert!.alertId,
      requestId,
      sentAt,
      acknowledgedAt: answeredAt,
      isCritical: level === 'ALERT_LEVEL_CRITICAL',
      ...(recipients === undefined ? ledger.routed(appName, sentAt, answeredAt) : { must: named, may: named }),
    };
    ledger.acknowledged(acknowledged);
    return acknowledged;
  }

  /** Alerts of the largest size for one person, of bytes that no compression makes fewer. */
  createLarge(userId: string, callers = this.callers): Promise<LedgerAlert> {
    const requestId = `large-${(this.#large += 1)}`;
    const request = {
      requestId,
      kind: 'ALERT_KIND_OTHER' as const,
      appName: 'large',
      level: 'ALERT_LEVEL_INFO' as const,
      title: requestId,
      message: randomBytes(LARGE_BYTES).toString('base64'),
      recipients: { userIds: [userId] },
    };
    return this.#send(request, callers);
  }

  /** One more caller, who sends so many times as much as the others, and large alerts. */
  async beGreedy(ms: number, times: number): Promise<void> {
    const { world, findings, alertsPerSecond } = this.options;
    const identity = { caller: world.unique('greedy') };
    const clients = world.networks.api.proxies.map(({ address }) => this.#client({ address, identity }));
    const callers = new Callers(clients, findings);
    const running = new Set<Promise<unknown>>();
    const started = performance.now();
    for (let count = 0; performance.now() < started + ms;) {
      const due = ((performance.now() - started) / 1000) * alertsPerSecond * times;
      for (; count < due && running.size < UNANSWERED_MAX; count += 1) {
        const one: Promise<unknown> = this.createLarge(GREEDY, callers)
          .catch(() => undefined)
          .finally(() => running.delete(one));
        running.add(one);
      }
      await sleep(10);
    }
    await Promise.all(running);
  }

  async #read(userId: string): Promise<void> {
    const { ledger } = this.options;
    const random = this.#random.fork();
    const stream = this.streams.find((each) => each.userId === userId)!;
    while (!this.#stopping) {
      await this.#pause(random.int(500, 3000));
      const known = [...stream.fold.keys()];
      if (known.length === 0 || this.#stopping) continue;
      const recent = known.slice(-50);
      const alertIds = [...new Set(Array.from({ length: random.int(1, 5) }, () => random.pick(recent)))];
      const seen = new Set(known);
      const draw = random.next();
      const kind =
        draw < 0.5 ? 'markRead' : draw < 0.75 ? 'markUnread' : draw < 0.9 ? 'deleteFromInbox' : 'markAllRead';
      try {
        const { answeredAt, attempts } = await this.callers.call<unknown>(
          `${kind} of ${userId}`,
          (client, timeoutMs) =>
            kind === 'markAllRead'
              ? client.markAllRead({ userId }, { timeoutMs })
              : client[kind]({ userId, alertIds }, { timeoutMs }),
        );
        this.changes += 1;
        // An attempt that was not answered may take effect later still: nothing else is changed until it cannot.
        const lateMs = attempts > 1 ? LATE_EFFECT_MS : 0;
        if (kind === 'markAllRead') ledger.markedAll(userId, seen, answeredAt + lateMs);
        else if (kind === 'deleteFromInbox') ledger.deleted(userId, alertIds);
        else ledger.marked(userId, alertIds, kind === 'markRead');
        await this.#pause(lateMs);
      } catch {
        // A finding of its own already.
      }
    }
  }

  async #comeAndGo(stream: FoldedStream): Promise<void> {
    const random = this.#random.fork();
    while (!this.#stopping) {
      await this.#pause(random.int(1000, 8000));
      stream.drop();
    }
  }

  /** No more calls; resolves when every request has its answer. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.probe.stop();
    this.poison.stop();
    this.intruder.stop();
    await Promise.all(this.#loops);
  }

  async close(): Promise<void> {
    this.#stopping = true;
    for (const each of [this.probe, this.poison, this.intruder]) each.stop();
    this.callers.close();
    await Promise.all(this.streams.map((stream) => stream.close()));
    this.poison.close();
    for (const client of this.#clients) client.close();
  }
}

const isNamed = ({ userId }: Person) => !/^(mover|probe|greedy)/.test(userId);

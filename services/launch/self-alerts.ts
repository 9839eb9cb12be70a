import { readFileSync } from 'node:fs';
import type { CreateAlertRequest } from '../client/check-request.js';
import { type AlertClient, type ClientOptions, createClient } from '../client/client.js';
import { AlertClientError } from '../client/errors.js';
import { words } from '../lib/auth/claims.js';
import { claimedSubject } from '../lib/auth/jwt.js';
import type { Config } from '../lib/config/load.js';
import { readSecretFile } from '../lib/secret-file.js';
import { wallClock } from '../lib/wall-clock.js';
import type { Alarm, AlertOutcome } from '../runtime/alarms.js';
import type { Runtime, RuntimeParts } from '../runtime/runtime.js';
import { selfAlertState } from '../store/self-alerts.js';

/** Who we are to our own alert-api. */
const CALLER = 'ssom-alert';
const DEPARTMENT = 'OPERATION';
/** After a failure, or when another process was first, the next alarm of the same cause is tried no sooner. */
const RETRY_AFTER_MS = 30_000;
/** Characters of a cause in a request id, which is kept short; it may hold the name of a group. */
const CAUSE_MAX = 100;
/** Alerts in hand that are looked at. */
const IDS_MAX = 1000;
/** An alert-api that is away so long is asked again later. */
const CALL_MS = 5000;

/** From now on alarms of this process also raise alerts. @param address alert-api, by gRPC */
export function raiseAlarms(runtime: Runtime, address: string): void {
  const { authMode, selfAlertTokenFile, jwtSubjectClaim } = runtime.config;
  const token = () => readSecretFile(selfAlertTokenFile);
  // Known by its certificate, which says the same name.
  const isNamed = authMode === 'dev' || selfAlertTokenFile === '';
  const identity = isNamed ? { caller: CALLER } : { token };
  const connect = () => createClient({ address, identity, tls: tlsBy(runtime.config), timeoutMs: CALL_MS });
  const caller = () => (isNamed ? CALLER : claimedSubject(token(), words(jwtSubjectClaim)));
  const alerts = new SelfAlerts(runtime, connect, caller);
  runtime.onClose('alerts about ourselves', () => alerts.close());
  runtime.alarms.onAlarm((alarm) => alerts.raise(alarm));
}

/** How alert-api is called; the files as they are now. */
function tlsBy({ selfAlertCaFile, selfAlertCertFile, selfAlertKeyFile }: Config): NonNullable<ClientOptions['tls']> {
  const read = (file: string) => readFileSync(file, 'utf8');
  const authorities = ['', 'system'].includes(selfAlertCaFile) ? undefined : read(selfAlertCaFile);
  if (selfAlertCertFile === '') return authorities ?? selfAlertCaFile === 'system';
  const own = { certificate: read(selfAlertCertFile), key: readSecretFile(selfAlertKeyFile) };
  return authorities === undefined ? own : { ...own, authorities };
}

/**
 * Alerts about ourselves, by everybody's way: one for each cause and period, whichever process noticed it first, and
 * none about an alert that is itself one of these. At most one call a cause is on its way.
 */
class SelfAlerts {
  /** When an alarm of a cause may be the next alert, by performance.now(). */
  readonly #next = new Map<string, number>();
  readonly #clients = new Set<AlertClient>();

  constructor(
    private readonly deps: RuntimeParts<'alarms' | 'config' | 'database' | 'logger' | 'role'>,
    /** One for each alert: they are rare, and certificates are replaced meanwhile. */
    private readonly connect: () => AlertClient,
    /** Who we are to alert-api, as alerts name their caller. */
    private readonly caller: () => string | undefined,
  ) {}

  close(): void {
    for (const client of this.#clients) client.close();
  }

  raise(alarm: Alarm): void {
    const { alarms, config } = this.deps;
    const now = performance.now();
    if (now < (this.#next.get(alarm.cause) ?? 0)) return alarms.noteAlert(alarm.cause, 'limited');
    // Until the answer comes.
    this.#next.set(alarm.cause, Infinity);
    void this.#raise(alarm, config.selfAlertPeriodMs).then(({ outcome, againInMs }) => {
      alarms.noteAlert(alarm.cause, outcome);
      this.#next.set(alarm.cause, performance.now() + againInMs);
    });
  }

  /** @returns what became of it, and in how many ms the next alarm of its cause may be an alert */
  async #raise(alarm: Alarm, periodMs: number): Promise<{ outcome: AlertOutcome; againInMs: number }> {
    const { database, logger } = this.deps;
    const soon = Math.min(RETRY_AFTER_MS, periodMs);
    // The same from all processes, so that the first one wins; one of the period before may be as young.
    const period = Math.floor(wallClock() / periodMs);
    const requestIds = [period, period - 1].map((number) => `${alarm.cause.slice(0, CAUSE_MAX)} ${number}`);
    const alertIds = alarm.alertIds.slice(0, IDS_MAX);
    try {
      const asked = { caller: this.caller() ?? CALLER, requestIds, periodMs, alertIds };
      const { limitedForMs, others } = await selfAlertState(database, asked);
      if (alertIds.length > 0 && !others) return { outcome: 'own', againInMs: 0 };
      // The period is that of the alert, whoever raised it: one of our own from now on could be silent for twice as
      // long.
      if (limitedForMs > 0) return { outcome: 'limited', againInMs: limitedForMs };
      const { replayed } = await this.#create(this.#request(alarm, requestIds[0]!));
      return replayed ? { outcome: 'limited', againInMs: soon } : { outcome: 'raised', againInMs: periodMs };
    } catch (error) {
      // Another process was first, with its own text.
      if (error instanceof AlertClientError && error.code === 'FAILED_PRECONDITION')
        return { outcome: 'limited', againInMs: soon };
      logger.warn({ err: error, cause: alarm.cause }, 'an alert about ourselves could not be raised');
      return { outcome: 'failed', againInMs: soon };
    }
  }

  async #create(request: CreateAlertRequest): Promise<{ replayed: boolean }> {
    const client = this.connect();
    this.#clients.add(client);
    try {
      return await client.createAlert(request, { retryForMs: CALL_MS });
    } finally {
      client.close();
      this.#clients.delete(client);
    }
  }

  #request({ cause, text, traceId }: Alarm, requestId: string) {
    const labels = { cause, role: this.deps.role, ...(traceId === undefined ? {} : { trace_id: traceId }) };
    return {
      requestId,
      kind: 'ALERT_KIND_OTHER' as const,
      level: 'ALERT_LEVEL_WARNING' as const,
      appName: CALLER,
      title: cause,
      message: text,
      labels,
      recipients: { departments: [DEPARTMENT] },
    };
  }
}

import { readFileSync } from 'node:fs';
import { type AlertClient, createClient } from '../client/client.js';
import { AlertClientError } from '../client/errors.js';
import { words } from '../lib/auth/claims.js';
import { claimedSubject } from '../lib/auth/jwt.js';
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
  const { authMode, selfAlertTokenFile, selfAlertCaFile, jwtSubjectClaim } = runtime.config;
  const token = () => readSecretFile(selfAlertTokenFile);
  const isNamed = authMode === 'dev';
  const tls = ['', 'system'].includes(selfAlertCaFile) ? selfAlertCaFile !== '' : readFileSync(selfAlertCaFile, 'utf8');
  const identity = isNamed ? { caller: CALLER } : { token };
  const client = createClient({ address, identity, tls, timeoutMs: CALL_MS });
  runtime.onClose('alerts about ourselves', () => client.close());
  const caller = () => (isNamed ? CALLER : claimedSubject(token(), words(jwtSubjectClaim)));
  const alerts = new SelfAlerts(runtime, client, caller);
  runtime.alarms.onAlarm((alarm) => alerts.raise(alarm));
}

/**
 * Alerts about ourselves, by everybody's way: one for each cause and period, whichever process noticed it first, and
 * none about an alert that is itself one of these. At most one call a cause is on its way.
 */
class SelfAlerts {
  /** When an alarm of a cause may be the next alert, by performance.now(). */
  readonly #next = new Map<string, number>();

  constructor(
    private readonly deps: RuntimeParts<'alarms' | 'config' | 'database' | 'logger' | 'role'>,
    private readonly client: AlertClient,
    /** Who we are to alert-api, as alerts name their caller. */
    private readonly caller: () => string | undefined,
  ) {}

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
      const { replayed } = await this.client.createAlert(this.#request(alarm, requestIds[0]!), { retryForMs: CALL_MS });
      return replayed ? { outcome: 'limited', againInMs: soon } : { outcome: 'raised', againInMs: periodMs };
    } catch (error) {
      // Another process was first, with its own text.
      if (error instanceof AlertClientError && error.code === 'FAILED_PRECONDITION')
        return { outcome: 'limited', againInMs: soon };
      logger.warn({ err: error, cause: alarm.cause }, 'an alert about ourselves could not be raised');
      return { outcome: 'failed', againInMs: soon };
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

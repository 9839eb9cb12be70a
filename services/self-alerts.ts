import { createClient, type AlertClient } from './client/client.js';
import { AlertClientError } from './client/errors.js';
import type { Alarm, AlertOutcome } from './lib/telemetry/alarms.js';
import type { Runtime } from './runtime.js';
import { selfAlertState } from './store/self-alerts.js';

/** Who we are to our own alert-api. */
const CALLER = 'ssom-alert';
const DEPARTMENT = 'OPERATION';
/** After a failure the next alarm of the same cause is tried no sooner. */
const RETRY_AFTER_MS = 30_000;
/** Characters of a cause in a request id, which may have 128; it may hold the name of a group. */
const CAUSE_MAX = 100;
/** Alerts in hand that are looked at. */
const IDS_MAX = 1000;
/** An alert-api that is away so long is asked again later. */
const CALL_MS = 5000;

/** From now on alarms of this process also raise alerts. @param address alert-api, by gRPC */
export function raiseAlarms(runtime: Runtime, address: string): void {
  const client = createClient({ address, identity: { caller: CALLER }, timeoutMs: CALL_MS });
  runtime.onClose('alerts about ourselves', () => client.close());
  const alerts = new SelfAlerts(runtime, client);
  runtime.alarms.onAlarm((alarm) => alerts.raise(alarm));
}

/**
 * Alerts about ourselves, by the same way as everybody's: one for each cause and period, whichever process noticed it first, and
 * none about an alert that is itself one of these. At most one call a cause is on its way, and nobody waits for it.
 */
class SelfAlerts {
  /** When an alarm of a cause may be the next alert, by performance.now(). */
  readonly #next = new Map<string, number>();

  constructor(
    private readonly runtime: Runtime,
    private readonly client: AlertClient,
  ) {}

  raise(alarm: Alarm): void {
    const { alarms, config } = this.runtime;
    const now = performance.now();
    if (now < (this.#next.get(alarm.cause) ?? 0)) return alarms.noteAlert(alarm.cause, 'limited');
    this.#next.set(alarm.cause, now + config.selfAlertPeriodMs);
    void this.#raise(alarm).then((outcome) => {
      alarms.noteAlert(alarm.cause, outcome);
      if (outcome === 'own') this.#next.delete(alarm.cause);
      if (outcome === 'failed')
        this.#next.set(alarm.cause, performance.now() + Math.min(RETRY_AFTER_MS, config.selfAlertPeriodMs));
    });
  }

  async #raise(alarm: Alarm): Promise<AlertOutcome> {
    const { config, database, logger } = this.runtime;
    const periodMs = config.selfAlertPeriodMs;
    // The same from all processes, so that the first one wins; one of the period before may be as young.
    const period = Math.floor(Date.now() / periodMs);
    const requestIds = [period, period - 1].map((number) => `${alarm.cause.slice(0, CAUSE_MAX)} ${number}`);
    const alertIds = alarm.alertIds.slice(0, IDS_MAX);
    try {
      const { recent, others } = await selfAlertState(database, { caller: CALLER, requestIds, periodMs, alertIds });
      if (alertIds.length > 0 && !others) return 'own';
      if (recent) return 'limited';
      const { replayed } = await this.client.createAlert(this.#request(alarm, requestIds[0]!), { retryForMs: CALL_MS });
      return replayed ? 'limited' : 'raised';
    } catch (error) {
      // Another process was first, with its own text.
      if (error instanceof AlertClientError && error.code === 'FAILED_PRECONDITION') return 'limited';
      logger.warn({ err: error, cause: alarm.cause }, 'an alert about ourselves could not be raised');
      return 'failed';
    }
  }

  #request({ cause, text, traceId }: Alarm, requestId: string) {
    const labels = { cause, role: this.runtime.role, ...(traceId === undefined ? {} : { trace_id: traceId }) };
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

import { Breaker, type BreakerState } from '../lib/breaker.js';
import type { Logger } from '../lib/logging.js';
import type { Metrics } from '../lib/telemetry/metrics.js';
import type { RoleReadiness } from './readiness.js';

const VALUES: Readonly<Record<BreakerState, number>> = { closed: 0, 'half-open': 1, open: 2 };

/** The circuit breakers of a process, as they show: by metric, log line and in /readyz. */
export class Breakers {
  readonly #breakers = new Map<string, Breaker>();
  /** What the log has last said of each. */
  readonly #said = new Map<string, BreakerState>();

  constructor(
    metrics: Metrics,
    private readonly logger: Logger,
    private readonly readiness: RoleReadiness,
  ) {
    metrics.gauge(
      'ssom.breaker.state',
      'Circuit breakers: 0 closed, 1 half open (the next call is tried), 2 open, also while that call is on its way.',
      () => [...this.#breakers].map(([name, { shownState }]) => ({ value: VALUES[shownState], attributes: { name } })),
    );
  }

  add(name: string, breaker: Breaker): void {
    this.#breakers.set(name, breaker);
  }

  create(name: string, isOutage: (error: unknown) => boolean): Breaker {
    const breaker = new Breaker({ what: name, isOutage, onChange: (state) => this.note(name, state) });
    this.add(name, breaker);
    return breaker;
  }

  /** A breaker has another state now. */
  note(name: string, state: BreakerState): void {
    const was = this.#said.get(name);
    // Each trial that fails opens it again, once a second: said is what is new.
    if (state === 'closed' || was === undefined || was === 'closed') {
      this.#said.set(name, state);
      if (state === 'open') this.logger.error({ name }, 'circuit breaker open: calls are refused at once');
      else this.logger.info({ name, state }, 'circuit breaker');
    }
    // For the eye: what decides is whether the other side answers our probe.
    this.readiness.show(`circuit breaker ${name}`, state === 'closed', state);
  }
}

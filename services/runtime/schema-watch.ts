import { type Events, type EventsNews, renewIds, SchemaNotRegistered } from '../events/events.js';
import { type UnavailableSchema, UnusableSchema } from '../lib/avro.js';
import type { Config } from '../lib/config/load.js';
import { every } from '../lib/lifecycle.js';
import type { Logger } from '../lib/logging.js';
import type { RegistryClient } from '../lib/registry/client.js';
import type { Metrics } from '../lib/telemetry/metrics.js';
import type { RoleReadiness } from './readiness.js';

interface SchemaWatchDeps {
  readonly config: Config;
  readonly registry: RegistryClient;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly readiness: RoleReadiness;
}

const CHECK = 'schemas';
/** For how long a record whose schema cannot be had shows. */
const SHOWN_MS = 120_000;
/** Records with unusable schemas have the registry asked at most so often. */
const ASK_AGAIN_MS = 1000;

/**
 * Compares the schema ids that this process writes with the registry's, now and then and when a record has an unknown
 * one. If they differ the registry was lost or restored: the new ids are taken up, or it shows why not.
 */
export class SchemaWatch {
  readonly #renewed;
  readonly #unknownSymbols;
  #events: Events | undefined;
  #unread: { readonly error: UnusableSchema | UnavailableSchema; readonly at: number } | undefined;
  #askedAt = -Infinity;
  /** It lets us in no more. */
  #refusal: Error | undefined;
  /** What records say of their schemas. */
  readonly news: EventsNews = {
    onUnread: (error) => this.#note(error),
    onUnknownSymbol: (subject, field, values) => this.#unknownSymbols.add(values, { subject, field }),
  };

  constructor(private readonly deps: SchemaWatchDeps) {
    this.#renewed = deps.metrics.counter(
      'ssom.schema.renewed',
      'Schemas that had another id in the registry than records were written with; the new one is written since.',
    );
    this.#unknownSymbols = deps.metrics.counter(
      'ssom.schema.unknown_symbols',
      "Values of an enum that were read as its default, as a writer's symbol is not known here.",
      [],
    );
  }

  #note(error: UnusableSchema | UnavailableSchema): void {
    const now = performance.now();
    if (this.#unread?.error.message !== error.message)
      this.deps.logger.warn({ schemaId: error.schemaId, reason: error.message }, 'records cannot be read');
    this.#unread = { error, at: now };
    this.#show(undefined);
    // While the registry is away it has nothing to say of ours either.
    if (!(error instanceof UnusableSchema) || this.#events === undefined || now - this.#askedAt < ASK_AGAIN_MS) return;
    void this.#ask(this.#events).catch((failure: Error) => this.#report(failure));
  }

  async run(events: Events, signal: AbortSignal): Promise<void> {
    this.#events = events;
    await every(
      this.deps.config.schemaRegistryCheckIntervalMs,
      signal,
      () => this.#ask(events),
      (failure) => this.#report(failure),
    );
  }

  async #ask(events: Events): Promise<void> {
    const { config, registry, logger } = this.deps;
    this.#askedAt = performance.now();
    const renewed = await renewIds(config, registry, events);
    this.#refusal = undefined;
    this.#show(undefined);
    if (renewed.length === 0) return;
    this.#renewed.add(renewed.length);
    logger.warn(
      { subjects: renewed },
      'the registry has other ids for our schemas: it was lost or restored; written with those now',
    );
  }

  /** That the registry is away does no harm: known schemas are in memory. */
  #report(failure: Error): void {
    if (failure instanceof SchemaNotRegistered) return this.#show(failure);
    const { refusesUs = false } = failure as { refusesUs?: boolean };
    if (refusesUs) {
      this.#refusal = failure;
      this.#show(undefined);
      this.deps.logger.error({ reason: failure.message }, 'the schema registry refuses us; trying again');
    } else this.deps.logger.debug({ err: failure }, 'schema ids could not be compared with the registry; trying again');
  }

  #show(ownFault: SchemaNotRegistered | undefined): void {
    const { readiness, registry } = this.deps;
    const unread = this.#unread;
    const isRecent = unread !== undefined && performance.now() - unread.at < SHOWN_MS;
    const others = isRecent ? remedyOf(unread.error) : undefined;
    const reason = ownFault?.message ?? this.#refusal?.message ?? others;
    readiness.show(CHECK, reason === undefined, reason ?? registry.url);
  }
}

function remedyOf(error: UnusableSchema | UnavailableSchema): string {
  const what = `records name a schema that cannot be had: ${error.message}`;
  return error instanceof UnusableSchema
    ? `${what}. Their writer has to take up the registry's ids`
    : `${what}. They wait until the registry answers; the others go on`;
}

import type { AlertError } from '../../domain/errors.js';
import { fieldsOf, JsonFile } from '../json-file.js';
import type { Logger } from '../logging.js';
import { callerKey, type Identity, SUBJECT } from './identity.js';
import { Rate } from './rate.js';

/** What one caller may have at this process; of the rates 0 is no limit. */
export interface Limits {
  readonly requestsPerS: number;
  readonly alertsPerS: number;
  readonly recipientsPerS: number;
  /** Unary calls at once; a batch counts as its items. */
  readonly calls: number;
  /** Streams at once, whoever they are for. */
  readonly streams: number;
}

/** The least that a file may give. */
const LEAST: Readonly<Record<keyof Limits, number>> = {
  requestsPerS: 0,
  alertsPerS: 0,
  recipientsPerS: 0,
  calls: 1,
  streams: 1,
};
const FIELDS = Object.keys(LEAST);
const KINDS = { services: 'service', users: 'user' } as const;

export const RATES = ['requests', 'alerts', 'recipients'] as const;
export type RateName = (typeof RATES)[number];

/** How much somebody asks for. */
export type Amounts = Partial<Record<RateName, number>>;

export interface CallerLimitsOptions {
  /** Of those whom the file does not name. */
  readonly service: Limits;
  readonly user: Limits;
  readonly burstMs: number;
  /** JSON: `{ "services": { "payments": { "alertsPerS": 50 } }, "users": { … } }`; empty: there is none. */
  readonly file: string;
}

/** By the caller's key (identity.ts). */
type Exceptions = ReadonlyMap<string, Partial<Limits>>;

/** What callers may have at this process: everybody the same, but for those whom a file names. */
export class CallerLimits {
  readonly #refusals = new Map<RateName, number>(RATES.map((name) => [name, 0]));
  readonly #rates: Readonly<Record<RateName, Rate>>;

  private constructor(
    private readonly options: CallerLimitsOptions,
    private readonly exceptions: JsonFile<Exceptions> | undefined,
  ) {
    const rate = (what: RateName) =>
      new Rate({
        what,
        burstMs: options.burstMs,
        perS: (caller) => this.of(caller)[`${what}PerS`],
        onRefused: () => this.#refusals.set(what, this.#refusals.get(what)! + 1),
      });
    this.#rates = { requests: rate('requests'), alerts: rate('alerts'), recipients: rate('recipients') };
  }

  /** @throws Error naming the file, and what is wrong with it */
  static read(options: CallerLimitsOptions, logger: Logger): CallerLimits {
    const { file } = options;
    return new CallerLimits(options, file === '' ? undefined : new JsonFile(file, readExceptions, logger));
  }

  /** Of a caller by its key. */
  of(caller: string): Limits {
    const usual = caller.startsWith('user ') ? this.options.user : this.options.service;
    const own = this.exceptions?.current.get(caller);
    return own === undefined ? usual : { ...usual, ...own };
  }

  /** Takes so much of a caller's rates, or nothing. @returns what it is refused with (RATE_LIMITED) */
  take(identity: Identity, amounts: Amounts): AlertError | undefined {
    const refusal = this.refusal(identity, amounts);
    const caller = callerKey(identity);
    if (refusal === undefined) for (const [rate, amount] of entriesOf(amounts)) this.#rates[rate].take(caller, amount);
    return refusal;
  }

  /** What a caller is refused with if it asks for so much, which it does not get yet. */
  refusal(identity: Identity, amounts: Amounts): AlertError | undefined {
    const caller = callerKey(identity);
    for (const [rate, amount] of entriesOf(amounts)) {
      const refusal = this.#rates[rate].refusal(caller, amount);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  /** How often each rate has refused somebody. */
  get refusals(): ReadonlyMap<RateName, number> {
    return this.#refusals;
  }

  /** Looks for other contents of the file until the signal aborts. */
  async watch(signal: AbortSignal): Promise<void> {
    await this.exceptions?.watch(signal);
  }
}

function entriesOf(amounts: Amounts): [RateName, number][] {
  return Object.entries(amounts) as [RateName, number][];
}

function readExceptions(json: unknown): Exceptions {
  const exceptions = new Map<string, Partial<Limits>>();
  for (const [plural, callers] of Object.entries(fieldsOf('it', json, Object.keys(KINDS)))) {
    for (const [subject, limits] of Object.entries(fieldsOf(plural, callers))) {
      if (!SUBJECT.test(subject)) throw new Error(`'${subject}' in ${plural} is no name of 1 to 128 printable ASCII`);
      const name = `${plural}.${subject}`;
      const own = fieldsOf(name, limits, FIELDS);
      for (const [field, value] of Object.entries(own)) {
        const least = LEAST[field as keyof Limits];
        if (!Number.isSafeInteger(value) || (value as number) < least)
          throw new Error(`${name}.${field} must be a whole number from ${least}, not ${JSON.stringify(value)}`);
      }
      exceptions.set(`${KINDS[plural as keyof typeof KINDS]} ${subject}`, own);
    }
  }
  return exceptions;
}

import { type FieldViolation, invalidArgument } from '../domain/errors.js';
import { characters, isBlank, longerThan } from '../domain/text.js';

/** What is wrong beyond this number is counted: a request can hold a hundred thousand wrong items. */
const VIOLATIONS_MAX = 100;

/**
 * What is wrong with a request, by the paths of its fields; the first ones, and how many there are besides. Characters
 * are Unicode code points everywhere.
 */
export class Violations {
  readonly #kept: FieldViolation[] = [];
  #more = 0;

  add(field: string, description: string): void {
    if (this.#kept.length < VIOLATIONS_MAX) this.#kept.push({ field, description });
    else this.#more += 1;
  }

  /** A text that is kept as it is given, or not at all. */
  text(field: string, value: string, limit: number, required = false): void {
    if (required && isBlank(value)) this.add(field, `is required: 1 to ${limit} characters, and one that can be seen`);
    else if (longerThan(value, limit))
      this.add(field, `must have at most ${limit} characters, not ${characters(value)}`);
    else if (value.includes('\0')) this.add(field, 'must not contain the character U+0000');
  }

  /** The same, of a name that is compared: what was not well-formed would be equal to something else. */
  name(field: string, value: string, limit: number, required = false): void {
    this.text(field, value, limit, required);
    if (value.includes('\uFFFD'))
      this.add(field, 'must not contain the character U+FFFD, which stands for text that is not well-formed UTF-8');
  }

  /**
   * The value of an enum, which its prefix has before it in the proto file; undefined if it is none that we know.
   * @param unset how to say that none is wanted; absent: one is required
   */
  choice<T extends string>(
    field: string,
    given: string | number,
    values: readonly T[],
    prefix: string,
    unset?: string,
  ): T | undefined {
    const known = values.find((value) => given === `${prefix}_${value}`);
    if (known === undefined) {
      const isMissing = given === `${prefix}_UNSPECIFIED` && unset === undefined;
      const choices = values.map((value) => `${prefix}_${value}`).join(', ');
      const problem = isMissing ? 'is required' : `must not be ${given}`;
      this.add(field, `${problem}: one of ${choices}${unset === undefined ? '' : `; ${unset}`}`);
    }
    return known;
  }

  /**
   * Whether a list is no longer than it may be; what is in a longer one is not worth looking at.
   * @param bound what the field's comment in the proto file says
   */
  fits(field: string, list: readonly unknown[], bound: Bound): boolean {
    const { min = 0, max } = bound;
    if (list.length >= min && list.length <= max) return true;
    const range = min === 0 ? `at most ${max}` : `${min} to ${max}`;
    this.add(field, `must have ${range} entries, not ${list.length}`);
    return false;
  }

  get isEmpty(): boolean {
    return this.#kept.length === 0;
  }

  /** @throws AlertError INVALID_ARGUMENT if there are any */
  throwIfAny(): void {
    if (this.#kept.length === 0) return;
    const rest = this.#more === 0 ? [] : [{ field: '', description: `and ${this.#more} more` }];
    throw invalidArgument([...this.#kept, ...rest]);
  }
}

/**
 * A list in which only its length can be wrong.
 * @throws AlertError INVALID_ARGUMENT
 */
export function checkCount(field: string, list: readonly unknown[], bound: Bound): void {
  const violations = new Violations();
  violations.fits(field, list, bound);
  violations.throwIfAny();
}

/** How many items a repeated field of a request may have. */
export interface Bound {
  readonly min?: number;
  readonly max: number;
}

/**
 * Of every repeated field of a request, by message and field. A test holds the proto files and the methods against it.
 */
export const BOUNDS = {
  'CreateAlertRequest.labels': { max: 1024 },
  'Recipients.user_ids': { max: 10_000 },
  'Recipients.departments': { max: 10_000 },
  'Recipients.github_logins': { max: 10_000 },
  'BatchCreateAlertsRequest.requests': { min: 1, max: 500 },
  'ListAlertsRequest.kinds': { max: 100 },
  'ListInboxRequest.kinds': { max: 100 },
  'StreamFilter.kinds': { max: 100 },
  'MarkReadRequest.alert_ids': { min: 1, max: 1000 },
  'MarkUnreadRequest.alert_ids': { min: 1, max: 1000 },
  'DeleteFromInboxRequest.alert_ids': { min: 1, max: 1000 },
  'UpsertUsersRequest.users': { min: 1, max: 500 },
  'SetRoutingRulesRequest.rules': { max: 200 },
} as const satisfies Readonly<Record<string, Bound>>;

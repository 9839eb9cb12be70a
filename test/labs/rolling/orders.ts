import { ROLE_NAMES, type RoleName } from '../../../services/domain/role-names.js';

/** Which release a role runs: the last one, or the one in this checkout. */
export type Version = 'last' | 'this';

/** One role goes to a release, an instance after the other; its callers and readers stay where they are. */
export interface Step {
  readonly role: RoleName;
  readonly to: Version;
  /** Only the first instance goes, so that both releases share its work. */
  readonly half?: boolean;
}

export interface Order {
  readonly name: string;
  /** What every role runs before. */
  readonly from: Version;
  readonly steps: readonly Step[];
}

/** Along the way of an alert: who writes a record goes before who reads it. */
const WRITERS_FIRST = ROLE_NAMES;
const READERS_FIRST = [...ROLE_NAMES].reverse();

const all = (roles: readonly RoleName[], to: Version): Step[] => roles.map((role) => ({ role, to }));
const alone = (first: Version, then: Version): Step[] =>
  ROLE_NAMES.flatMap((role) => [
    { role, to: first },
    { role, to: then },
  ]);

/** So that each begins where the one before it ends. */
export const ORDERS: readonly Order[] = [
  { name: 'each upgraded alone, and rolled back', from: 'last', steps: alone('this', 'last') },
  { name: 'writers first', from: 'last', steps: all(WRITERS_FIRST, 'this') },
  { name: 'each rolled back alone', from: 'this', steps: alone('last', 'this') },
  { name: 'writers rolled back first', from: 'this', steps: all(WRITERS_FIRST, 'last') },
  { name: 'readers first', from: 'last', steps: all(READERS_FIRST, 'this') },
  { name: 'readers rolled back first', from: 'this', steps: all(READERS_FIRST, 'last') },
  {
    name: 'one instance of each upgraded',
    from: 'last',
    steps: ROLE_NAMES.map((role) => ({ role, to: 'this', half: true })),
  },
];

export const UPGRADE = ORDERS.find(({ name }) => name === 'writers first')!;

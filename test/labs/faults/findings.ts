export const KINDS = {
  lost: 'I1: an acknowledged alert is not in a recipient’s inbox',
  doubled: 'I1: an alert is in an inbox, or was shown, twice',
  resurrected: 'I1: a deleted alert is in the inbox again',
  'second alert': 'I2: one request made two alerts',
  'bad numbers': 'I3: two entries of an inbox have one number, or numbers are missing where nothing was changed',
  gap: 'I4: a stream never showed an entry of its inbox, or shows another state of it',
  'wrong order': 'I4: a stream showed a number that is not above the last one',
  'wrong state': 'I4: an entry is not as the last acknowledged change left it',
  'wrong count': 'I4: an unread count is not the number of unread entries',
  'order per user': 'I5: an inbox is not in the order of the user’s events',
  'cross-user': 'I6: somebody saw what is another’s',
  'dead letter': 'I7: a record is among the dead letters that should not be',
  'no dead letter': 'I7: a record that cannot be processed is not among the dead letters, byte for byte',
  'not pushed': 'an alert that lies unread in an inbox was never brought to its owner’s phone',
  'stale push': 'an alert was brought to a phone long after it had been read or deleted',
  account: 'an entry of the account of who did what is missing, there twice, or not as it was sealed',
  refused: 'a caller was refused in a way that no repetition cures',
  'unclean end': 'a role did not end in order within 10 s of SIGTERM, or ended by itself',
  'held up': 'others had to wait because of one user',
  'not recovered': 'after a fault things did not get well again in time',
} as const;

export type Kind = keyof typeof KINDS;

export interface Finding {
  readonly kind: Kind;
  readonly detail: string;
  /** The fault that was going on, or had been the last. */
  readonly fault: string;
}

const DETAILS_MAX = 200;

/** What was found to be wrong: everything is counted, the first ones are kept. */
export class Findings {
  readonly counts = new Map<Kind, number>();
  readonly details: Finding[] = [];
  /** Set as the faults go by. */
  fault = 'none yet';

  constructor(private readonly onFinding: (finding: Finding) => void = () => undefined) {}

  add(kind: Kind, detail: string): void {
    const finding = { kind, detail, fault: this.fault };
    this.counts.set(kind, this.of(kind) + 1);
    if (this.details.length >= DETAILS_MAX) return;
    this.details.push(finding);
    this.onFinding(finding);
  }

  of(kind: Kind): number {
    return this.counts.get(kind) ?? 0;
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0);
  }
}

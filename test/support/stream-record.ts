import { readResumeToken } from '../../services/domain/resume-token.js';
import type {
  AlertKind,
  AlertLevel,
  InboxChange__Output,
  StreamAlertsResponse__Output,
} from '../../services/gen/types.js';
import type { InboxHistory } from './inbox-history.js';

export interface RecordFilter {
  readonly kinds?: AlertKind[];
  readonly minimumLevel?: AlertLevel;
  readonly unreadOnly?: boolean;
}

const LEVELS: readonly AlertLevel[] = [
  'ALERT_LEVEL_INFO',
  'ALERT_LEVEL_WARNING',
  'ALERT_LEVEL_ERROR',
  'ALERT_LEVEL_CRITICAL',
];

export interface KnownAlert {
  readonly kind: AlertKind;
  readonly level: AlertLevel;
}

interface Recorded {
  readonly changes: readonly InboxChange__Output[];
  /** What the resume token covers. */
  readonly position: number;
  readonly unreadCount: number;
  readonly behind: number;
}

/** Everything that came over one stream, which began at the beginning of its inbox, across its connections. */
export class StreamRecord {
  readonly responses: Recorded[] = [];
  position = 0;
  changes = 0;

  constructor(
    readonly name: string,
    readonly userId: string,
    readonly filter: RecordFilter,
    /** The database's. */
    private readonly epoch: number,
  ) {}

  take({ changes, resumeToken, unreadCount, behind }: StreamAlertsResponse__Output): void {
    this.position = readResumeToken(resumeToken, this.userId, this.epoch);
    this.changes += changes.length;
    this.responses.push({ changes, position: this.position, unreadCount, behind });
  }

  /**
   * What broke the rules of alert_stream_service.proto: order, repeats, gaps, contents, filter, fold and unread count.
   * Whenever a response says that nothing comes behind it, the fold must be the inbox as of that number.
   */
  problems(history: InboxHistory, alerts: ReadonlyMap<number, KnownAlert>): string[] {
    const check = new RecordCheck(this.filter, history, alerts);
    for (const response of this.responses) check.take(response);
    if (this.position !== history.length)
      check.problems.push(`it ends at ${this.position}, the inbox at ${history.length}`);
    return check.problems.map((problem) => `${this.name}: ${problem}`);
  }
}

class RecordCheck {
  readonly problems: string[] = [];
  /** What a client of this stream holds: alert by whether it is read. */
  readonly #fold = new Map<number, boolean>();
  /** What the inbox holds as of #folded. */
  readonly #inbox = new Map<number, boolean>();
  #inboxAt = 0;
  /** Alerts of which something was heard, from either side, since the two were compared. */
  #touched = new Set<number>();
  readonly #created = new Set<number>();
  #sequence = 0;
  #position = 0;
  #unreadAsOf = 0;

  constructor(
    private readonly filter: RecordFilter,
    private readonly history: InboxHistory,
    private readonly alerts: ReadonlyMap<number, KnownAlert>,
  ) {}

  take(response: Recorded): void {
    for (const change of response.changes) this.#fold1(change);
    const { position } = response;
    if (position < this.#position || position < this.#sequence)
      this.problems.push(`token ${position} after ${this.#position} and change ${this.#sequence}`);
    this.#position = position;
    this.#checkUnread(response);
    if (response.behind === 0) this.#compare();
  }

  #fold1({ type, sequence, alert, isRead }: InboxChange__Output): void {
    const alertId = alert?.alertId ?? 0;
    const event = this.history.at(sequence);
    const deleted = type === 'INBOX_CHANGE_TYPE_DELETED';
    if (sequence <= this.#sequence) this.problems.push(`change ${sequence} came after ${this.#sequence}`);
    if (event?.alertId !== alertId || event.type !== type || (!deleted && event.isRead !== isRead))
      this.problems.push(`change ${sequence} is ${type} of ${alertId}, in the inbox ${JSON.stringify(event)}`);
    if (type === 'INBOX_CHANGE_TYPE_CREATED') {
      if (this.#created.has(alertId)) this.problems.push(`alert ${alertId} is new a second time`);
      this.#created.add(alertId);
    }
    if (!this.#admits(alertId)) this.problems.push(`change ${sequence} is of an alert outside of the filter`);
    if (!deleted && alert?.title === '') this.problems.push(`change ${sequence} has no content`);
    this.#sequence = Math.max(this.#sequence, sequence);
    this.#touched.add(alertId);
    if (deleted) this.#fold.delete(alertId);
    else this.#fold.set(alertId, isRead);
  }

  #admits(alertId: number): boolean {
    const { kinds = [], minimumLevel = 'ALERT_LEVEL_INFO' } = this.filter;
    const alert = this.alerts.get(alertId);
    if (alert === undefined) return false;
    return (
      (kinds.length === 0 || kinds.includes(alert.kind)) && LEVELS.indexOf(alert.level) >= LEVELS.indexOf(minimumLevel)
    );
  }

  /** Exact where nothing comes behind; otherwise of some later number, and never of an earlier one than before. */
  #checkUnread({ position, unreadCount, behind }: Recorded): void {
    if (behind === 0 && this.history.unreadAt(position) !== unreadCount)
      this.problems.push(`unread ${unreadCount} at ${position}, in the inbox ${this.history.unreadAt(position)}`);
    const asOf = this.history.firstWithUnread(unreadCount, Math.max(position, this.#unreadAsOf));
    if (asOf === undefined) this.problems.push(`unread ${unreadCount} at ${position} is older than one before it`);
    else this.#unreadAsOf = asOf;
  }

  #compare(): void {
    for (; this.#inboxAt < this.#position; this.#inboxAt += 1) {
      const event = this.history.at(this.#inboxAt + 1);
      if (event === undefined) return void this.problems.push(`token ${this.#position} is ahead of the inbox`);
      this.#touched.add(event.alertId);
      if (event.type === 'INBOX_CHANGE_TYPE_DELETED') this.#inbox.delete(event.alertId);
      else this.#inbox.set(event.alertId, event.isRead);
    }
    const { unreadOnly = false } = this.filter;
    for (const alertId of this.#touched) {
      const shown = shownAs(this.#fold.get(alertId), unreadOnly);
      const wanted = shownAs(this.#admits(alertId) ? this.#inbox.get(alertId) : undefined, unreadOnly);
      if (shown !== wanted)
        this.problems.push(`alert ${alertId} is ${shown} at ${this.#position}, in the inbox ${wanted}`);
    }
    this.#touched = new Set();
  }
}

/** How a person sees a row: under "unread only" what is read is not there. */
function shownAs(isRead: boolean | undefined, unreadOnly: boolean): 'absent' | 'read' | 'unread' {
  if (isRead === undefined || (unreadOnly && isRead)) return 'absent';
  return isRead ? 'read' : 'unread';
}

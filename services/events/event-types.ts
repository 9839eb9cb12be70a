/*
 * The records as code has them: generated from the newest versions in schemas/, where each field says what it is. A
 * field that an older version lacks is there for readers by its default, and a writer has to give it.
 *
 * The epoch of each is that of the database which its numbers are of (store/state.ts); 0: not known, as from an older
 * writer. Numbers of another epoch may mean other alerts and other changes: whoever reads them sets the record aside.
 */
export type { AlertCreatedEvent, InboxChangedEvent, UserAlertEvent } from '../gen/events.js';

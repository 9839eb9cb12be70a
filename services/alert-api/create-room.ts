import type { Breaker } from '../lib/breaker.js';
import { SharedRoom } from '../lib/shared-room.js';
import { outboxFull, tooManyRequests } from './create-errors.js';

/** Characters of all requests that wait for their answer: 10,000 of the largest would be gigabytes. */
export const QUEUE_CHARACTERS = 32_000_000;

/** The room of requests that wait for their answer, which callers share. */
export class CreateRoom {
  readonly #requests: SharedRoom;
  readonly #characters = new SharedRoom(QUEUE_CHARACTERS);

  constructor(
    requestsMax: number,
    private readonly breaker: Breaker,
    private readonly isOutboxFull: () => boolean,
  ) {
    this.#requests = new SharedRoom(requestsMax);
  }

  get requests(): number {
    return this.#requests.taken;
  }

  get characters(): number {
    return this.#characters.taken;
  }

  requestsOf(caller: string): number {
    return this.#requests.takenBy(caller);
  }

  /**
   * Takes the room of a request that is to wait for its answer.
   * @returns to be called when it waits no more
   * @throws AlertError RESOURCE_EXHAUSTED if too many wait, UNAVAILABLE if the outbox is full; the database's error if
   * it is away
   */
  enter(caller: string, characters: number): () => void {
    if (this.#requests.isFullFor(caller) || !this.#characters.hasRoomFor(caller, characters))
      throw tooManyRequests(this.requests, this.requestsOf(caller));
    if (this.isOutboxFull()) throw outboxFull();
    // Not left to the statement: all writers may be waiting for a time-out.
    const { refusal } = this.breaker;
    if (refusal !== undefined) throw refusal;
    const leaveRequests = this.#requests.take(caller, 1);
    const leaveCharacters = this.#characters.take(caller, characters);
    return () => {
      leaveRequests();
      leaveCharacters();
    };
  }
}

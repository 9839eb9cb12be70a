import { UnavailableSchema } from './schema-errors.js';

/** Schemas of one subject that are kept; a subject has a few. Beyond that the oldest is asked for again. */
const READERS_MAX = 200;
/** Schemas that are asked for at a time, or could not be had a moment ago. */
const ASKED_MAX = 200;
/** For how long records wait for an answer: those behind them may be of schemas that are known. */
const PATIENCE_MS = 300;
/** After a failure the registry is asked again for the same schema only so much later. */
const ASK_AGAIN_MS = 500;

/** A question to the registry, on its way or failed. */
interface Question<Reader> {
  readonly answer: Promise<Reader>;
  readonly since: number;
  failure: { readonly error: unknown; readonly at: number } | undefined;
}

/** What reads the records of other writers, by the id of their schema, each asked for once. */
export class WriterReaders<Reader> {
  #own: { readonly id: number; readonly reader: Reader } | undefined;
  readonly #ready = new Map<number, Reader>();
  /** What ids meant before the registry had others; they stand in records still. */
  readonly #former = new Map<number, Reader>();
  readonly #asked = new Map<number, Question<Reader>>();

  constructor(private readonly load: (id: number) => Promise<Reader>) {}

  /** Of what we write, which never has to be asked for. */
  set own(own: { readonly id: number; readonly reader: Reader }) {
    this.#own = own;
    keep(this.#ready, own.id, own.reader);
  }

  known(id: number): Reader | undefined {
    return this.#ready.get(id);
  }

  former(id: number): Reader | undefined {
    return this.#former.get(id);
  }

  /** What ids mean is to be asked again. */
  askAgain(): void {
    for (const [id, reader] of this.#ready) keep(this.#former, id, reader);
    this.#ready.clear();
    this.#asked.clear();
  }

  /** @throws UnavailableSchema if there is no answer soon, else what `load` throws */
  async get(id: number): Promise<Reader> {
    const known = this.#ready.get(id) ?? (this.#own?.id === id ? this.#own.reader : undefined);
    if (known !== undefined) return known;
    const { answer, since, failure } = this.#question(id);
    if (failure !== undefined) throw failure.error;
    const leftMs = PATIENCE_MS - (performance.now() - since);
    if (leftMs <= 0) throw new UnavailableSchema(id, undefined);
    let timer: NodeJS.Timeout | undefined;
    const impatience = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new UnavailableSchema(id, undefined)), leftMs);
    });
    return Promise.race([answer, impatience]).finally(() => clearTimeout(timer));
  }

  #question(id: number): Question<Reader> {
    const asked = this.#asked.get(id);
    const failedAt = asked?.failure?.at ?? Infinity;
    if (asked !== undefined && performance.now() - failedAt < ASK_AGAIN_MS) return asked;
    if (asked === undefined) this.#makeRoom(id);
    const question: Question<Reader> = { answer: this.load(id), since: performance.now(), failure: undefined };
    this.#asked.set(id, question);
    question.answer.then(
      (reader) => {
        // The registry may have other ids by now.
        if (this.#asked.get(id) !== question) return;
        this.#asked.delete(id);
        keep(this.#ready, id, reader);
      },
      (error: unknown) => (question.failure = { error, at: performance.now() }),
    );
    return question;
  }

  #makeRoom(id: number): void {
    if (this.#asked.size < ASKED_MAX) return;
    const failed = [...this.#asked].find(([, { failure }]) => failure !== undefined);
    if (failed === undefined) throw new UnavailableSchema(id, new Error(`${ASKED_MAX} others are asked for`));
    this.#asked.delete(failed[0]);
  }
}

/** Keeps it as the newest; the oldest has to go. */
function keep<Reader>(readers: Map<number, Reader>, id: number, reader: Reader): void {
  readers.delete(id);
  readers.set(id, reader);
  if (readers.size > READERS_MAX) readers.delete(readers.keys().next().value!);
}

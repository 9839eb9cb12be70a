/** One header: an object with one property, as a record that was read has them. */
export type OutgoingHeader = Readonly<Record<string, Buffer | string>>;

export interface OutgoingRecord {
  readonly topic: string;
  readonly key: string | Buffer | null;
  readonly value: Buffer | null;
  /** Names may be repeated. */
  readonly headers?: readonly OutgoingHeader[] | undefined;
}

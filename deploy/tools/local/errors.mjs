/** What a person can act on: the message says what is wrong and what to do, so it is printed without a stack trace. */
export class StackError extends Error {
  /** @param {string} message @param {ErrorOptions} [options] */
  constructor(message, options) {
    super(message, options);
    this.name = 'StackError';
  }
}

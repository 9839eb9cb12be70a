import { readFile } from 'node:fs/promises';
import { every } from './lifecycle.js';
import type { Logger } from './logging.js';

/** How often the file is looked at. */
const LOOK_MS = 10_000;
const BYTES_MAX = 1_048_576;

/** Settings in a JSON file that may be replaced while we run. What cannot be used is not taken, and said once. */
export class WatchedFile<T> {
  #problem: string | undefined;

  private constructor(
    private readonly file: string,
    private readonly parse: (json: unknown) => T,
    private readonly logger: Logger,
    private text: string,
    /** What the file says, or said when it could be used last. */
    public current: T,
  ) {}

  /**
   * @param parse throws an Error that says what is wrong with the contents
   * @throws Error naming the file, and what is wrong
   */
  static async read<T>(file: string, parse: (json: unknown) => T, logger: Logger): Promise<WatchedFile<T>> {
    const text = await readText(file);
    return new WatchedFile(file, parse, logger, text, parsed(file, text, parse));
  }

  /** Looks for other contents until the signal aborts. */
  async watch(signal: AbortSignal): Promise<void> {
    await every(
      LOOK_MS,
      signal,
      () => this.look(),
      (error) => {
        if (error.message !== this.#problem)
          this.logger.error({ err: error }, `${this.file} cannot be used; what it said before is`);
        this.#problem = error.message;
      },
    );
  }

  /** @throws Error naming the file, and what is wrong: what was read before is used */
  async look(): Promise<void> {
    const text = await readText(this.file);
    if (text !== this.text) {
      this.current = parsed(this.file, text, this.parse);
      this.text = text;
      this.logger.info({ file: this.file }, 'a file has changed, and is used');
    }
    this.#problem = undefined;
  }
}

async function readText(file: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw new Error(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error });
  }
  if (bytes.length > BYTES_MAX) throw new Error(`${file} has ${bytes.length} bytes, of at most ${BYTES_MAX}`);
  return bytes.toString();
}

function parsed<T>(file: string, text: string, parse: (json: unknown) => T): T {
  try {
    return parse(JSON.parse(text));
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
  }
}

/** The fields of a JSON object. @throws Error, naming it, for anything else and for fields that are not `known` */
export function fieldsOf(name: string, json: unknown, known?: readonly string[]): Record<string, unknown> {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new Error(`${name} is no JSON object`);
  const odd = known === undefined ? undefined : Object.keys(json).find((field) => !known.includes(field));
  if (odd !== undefined) throw new Error(`${name} has the field '${odd}'; there are ${known!.join(', ')}`);
  return json as Record<string, unknown>;
}

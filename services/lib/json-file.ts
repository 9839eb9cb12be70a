import type { Logger } from './logging.js';
import { ReadAgain } from './read-again.js';
import { readText } from './read-file.js';

interface Contents<T> {
  readonly text: string;
  readonly value: T;
}

/** Settings in a JSON file that may be replaced while we run. */
export class JsonFile<T> {
  readonly #contents: ReadAgain<Contents<T>>;

  /**
   * @param parse throws an Error that says what is wrong with the contents
   * @throws Error naming the file, and what is wrong
   */
  constructor(file: string, parse: (json: unknown) => T, logger: Logger) {
    const read = (last: Contents<T> | undefined) => {
      const text = readText(file);
      return text === last?.text ? last : { text, value: parsed(file, text, parse) };
    };
    this.#contents = new ReadAgain({ what: `'${file}'`, read }, logger);
  }

  get current(): T {
    return this.#contents.current.value;
  }

  look(): void {
    this.#contents.look();
  }

  /** Looks for other contents until the signal aborts. */
  watch(signal: AbortSignal): Promise<void> {
    return this.#contents.watch(signal);
  }
}

function parsed<T>(file: string, text: string, parse: (json: unknown) => T): T {
  try {
    return parse(JSON.parse(text));
  } catch (error) {
    throw new Error(`'${file}': ${(error as Error).message}`, { cause: error });
  }
}

/** The fields of a JSON object. @throws Error, naming it, for anything else and for fields that are not `known` */
export function fieldsOf(name: string, json: unknown, known?: readonly string[]): Record<string, unknown> {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new Error(`${name} is no JSON object`);
  const odd = known === undefined ? undefined : Object.keys(json).find((field) => !known.includes(field));
  if (odd !== undefined) throw new Error(`${name} has the field '${odd}'; there are ${known!.join(', ')}`);
  return json as Record<string, unknown>;
}

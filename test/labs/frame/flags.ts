// The kinds of flags that laboratories have.
import { resolve } from 'node:path';

/** What a flag takes, and what its texts on the command line mean; a switch takes nothing. */
export interface Flag<T> {
  readonly takes: string;
  readonly help: string;
  /** @param given undefined if it was not there; true of a switch @throws if the text means nothing */
  read(given: readonly string[] | true | undefined, name: string): T;
}

export type Flags = Readonly<Record<string, Flag<unknown>>>;
export type Values<F extends Flags> = { readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never };

export const isSwitch = ({ takes }: Flag<unknown>): boolean => takes === '';

const last = (given: readonly string[] | true | undefined) =>
  Array.isArray(given) ? (given.at(-1) as string) : undefined;

function toNumber(text: string, name: string, least: number, whole: boolean): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= least && (!whole || Number.isSafeInteger(value))) return value;
  throw new Error(`--${name} is a ${whole ? 'whole number' : 'number'} from ${least} on, not ${text}`);
}

/** A whole number. */
export const count = (usual: number, help: string, least = 1): Flag<number> => ({
  takes: 'N',
  help: `${help}; ${usual}`,
  read: (given, name) => toNumber(last(given) ?? String(usual), name, least, true),
});

/** A number that need not be whole; undefined without the flag. */
export const amount = (help: string, least = 0): Flag<number | undefined> => ({
  takes: 'N',
  help,
  read(given, name) {
    const text = last(given);
    return text === undefined ? undefined : toNumber(text, name, least, false);
  },
});

/** The same choices again; by chance without the flag. */
export const seed: Flag<number> = {
  takes: 'N',
  help: 'the same choices again; otherwise by chance, and printed',
  read: (given, name) => toNumber(last(given) ?? String(1 + Math.floor(Math.random() * (2 ** 31 - 2))), name, 0, true),
};

export const text = (takes: string, help: string): Flag<string | undefined> => ({ takes, help, read: last });

export const oneOf = (choices: readonly string[], help: string): Flag<string | undefined> => ({
  takes: 'NAME',
  help,
  read(given, name) {
    const choice = last(given);
    if (choice === undefined || choices.includes(choice)) return choice;
    throw new Error(`--${name} ${choice}: one of ${choices.join(', ')}`);
  },
});

export const folder = (help: string): Flag<string | undefined> => ({
  takes: 'DIR',
  help,
  read(given) {
    const path = last(given);
    return path === undefined ? undefined : resolve(path);
  },
});

/** NAME=VALUE, any number of them. */
export const variables = (help: string): Flag<Readonly<Record<string, string>>> => ({
  takes: 'NAME=VALUE',
  help,
  read(given, name) {
    const texts = Array.isArray(given) ? (given as string[]) : [];
    return Object.fromEntries(
      texts.map((each) => {
        const at = each.indexOf('=');
        if (at < 1) throw new Error(`--${name} is NAME=VALUE, not ${each}`);
        return [each.slice(0, at), each.slice(at + 1)];
      }),
    );
  },
});

/** There or not. */
export const toggle = (help: string): Flag<boolean> => ({ takes: '', help, read: (given) => given === true });
